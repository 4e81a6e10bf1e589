-- creations.begin
-- Say that until `creations.end` this transaction inserts guests with their words, and parts only of guests
-- and orders that it inserts too.
SELECT set_config('innkeeper.creations', 'on', true)

-- creations.copy_words
-- Insert the words of new guests.
COPY {ws}.guest_words (word, guest_ref) FROM STDIN (FORMAT binary)

-- creations.end
-- Add new words and providers of the guests.
SELECT {ws}.add_names(%(words)s::text[]), {ws}.add_providers(to_jsonb(%(providers)s::text[])),
    set_config('innkeeper.creations', '', true)

-- creations.stored_orders
-- Which of these referenceIds have an order.
SELECT DISTINCT reference_key AS key FROM {ws}.orders WHERE reference_key = ANY (%(keys)s::uuid[])
