-- merges.lock
-- One guest with what merges know of it, held until the transaction ends.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, own,
    (SELECT version FROM {ws}.identity_settings) AS version
FROM {ws}.guests WHERE ref = %(ref)s FOR NO KEY UPDATE

-- merges.path
-- A guest and those that stand above it, up to the live one, each with the merges passed.
WITH RECURSIVE path AS (
    SELECT %(ref)s::uuid AS ref, '{}'::uuid[] AS merges
    UNION ALL
    SELECT merges.survivor_ref, path.merges || merges.ref
    FROM path JOIN {ws}.merges ON absorbed_ref = path.ref AND undone_at IS NULL
)
SELECT guests.ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref,
    own, merges
FROM path JOIN {ws}.guests USING (ref) ORDER BY cardinality(merges)

-- merges.rewrite
-- New fields, keys and journal entry for a guest whose group is locked.
WITH rewritten AS (
    UPDATE {ws}.guests
    SET guest_type = %(guest_type)s, body = %(body)s, last_seen = %(last_seen)s,
        modified_at = %(modified_at)s, own = %(own)s
    WHERE ref = %(ref)s
), forgotten AS (
    DELETE FROM {ws}.guest_keys
    WHERE guest_ref = %(ref)s AND NOT key = ANY (%(keys)s::uuid[])
), journalled AS (
    INSERT INTO {ws}.guest_journal (guest_ref, source_ref, merges, intent)
    SELECT %(ref)s, %(source)s::uuid, %(merges)s::uuid[], %(intent)s::jsonb
    WHERE %(intent)s::jsonb IS NOT NULL
)
INSERT INTO {ws}.guest_keys (key, guest_ref)
SELECT unnest(%(keys)s::uuid[]), %(ref)s
ON CONFLICT DO NOTHING
