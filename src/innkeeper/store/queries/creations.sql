-- creations.begin
-- Say that until `creations.end` this transaction inserts guests with their words, and parts only of guests
-- and orders that it inserts too.
SELECT set_config('innkeeper.creations', 'on', true)

-- creations.begin_parts
-- The rows that follow refer to guests and orders of this transaction: leave out the checks of references, if
-- the login may. These take a third of the time of the rows.
SELECT set_config('session_replication_role', 'replica', true)
WHERE has_parameter_privilege('session_replication_role', 'SET')

-- creations.end_parts
-- Check references and run triggers again.
SELECT set_config('session_replication_role', 'origin', true)
WHERE current_setting('session_replication_role') = 'replica'

-- creations.copy_words
-- Insert the words of new guests.
COPY {ws}.guest_words (word, guest_ref) FROM STDIN (FORMAT binary)

-- creations.copy_joins
-- Insert the first joins of new guests: their sequence is given, since the next value of the table's takes longer
-- than the rest of the row.
COPY {ws}.guest_joins (guest_ref, sequence, rule, evidence, source, source_ref, actor, joined_at)
FROM STDIN (FORMAT binary)

-- creations.end
-- Add new words and providers of the guests.
SELECT {ws}.add_names(%(words)s::text[]), {ws}.add_providers(to_jsonb(%(providers)s::text[])),
    set_config('innkeeper.creations', '', true)

-- creations.stored_orders
-- Which of these referenceIds have an order.
SELECT DISTINCT reference_key AS key FROM {ws}.orders WHERE reference_key = ANY (%(keys)s::uuid[])

-- creations.stored_keys
-- Which of these keys a guest has.
SELECT DISTINCT key FROM {ws}.guest_keys WHERE key = ANY (%(keys)s::uuid[])
