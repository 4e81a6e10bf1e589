-- creations.supply_words
-- Say that this transaction writes the words of the guests that it inserts from now on.
SELECT set_config('innkeeper.words', 'supplied', true)

-- creations.copy_words
-- Insert the words of new guests.
COPY {ws}.guest_words (word, guest_ref) FROM STDIN (FORMAT binary)

-- creations.add_names
-- Add new words and providers of new guests; the database derives the words of later guests.
SELECT {ws}.add_names(%(words)s::text[]), {ws}.add_providers(to_jsonb(%(providers)s::text[])),
    set_config('innkeeper.words', '', true)

-- creations.stored_orders
-- Which of these referenceIds have an order.
SELECT DISTINCT reference_key AS key FROM {ws}.orders WHERE reference_key = ANY (%(keys)s::uuid[])
