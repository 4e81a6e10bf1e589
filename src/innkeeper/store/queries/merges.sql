-- merges.lock
-- Lock one guest until the transaction ends; its row with its merge state and the rules' version.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged,
    (SELECT version FROM {ws}.identity_settings) AS version, xmin::text AS row_version
FROM {ws}.guests WHERE ref = %(ref)s FOR NO KEY UPDATE

-- merges.lock_unmerged
-- The same for several live guests that are in no merged group and not locked by others.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged,
    (SELECT version FROM {ws}.identity_settings) AS version, xmin::text AS row_version
FROM {ws}.guests
WHERE ref = ANY (%(refs)s::uuid[]) AND survivor_ref IS NULL AND unmerged IS NULL
ORDER BY ref FOR NO KEY UPDATE SKIP LOCKED

-- merges.path
-- A guest and its survivors up to the live one, each with the merges between the two.
WITH RECURSIVE path AS (
    SELECT %(ref)s::uuid AS ref, '{}'::uuid[] AS merges
    UNION ALL
    SELECT merges.survivor_ref, path.merges || merges.ref
    FROM path JOIN {ws}.merges ON absorbed_ref = path.ref AND undone_at IS NULL
)
SELECT guests.ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref,
    unmerged, merges
FROM path JOIN {ws}.guests USING (ref) ORDER BY cardinality(merges)

-- merges.rewrite
-- Store new fields, keys and a journal entry of a guest whose group is locked.
WITH rewritten AS (
    UPDATE {ws}.guests
    SET guest_type = %(guest_type)s, body = %(body)s, last_seen = %(last_seen)s,
        modified_at = %(modified_at)s, unmerged = %(unmerged)s
    WHERE ref = %(ref)s
    RETURNING xmin::text AS row_version
), deleted_keys AS (
    DELETE FROM {ws}.guest_keys
    WHERE guest_ref = %(ref)s AND NOT key = ANY (%(keys)s::uuid[])
), journalled AS (
    INSERT INTO {ws}.guest_journal (guest_ref, source_ref, merges, intent)
    SELECT %(ref)s, %(source)s::uuid, %(merges)s::uuid[], %(intent)s::jsonb
    WHERE %(intent)s::jsonb IS NOT NULL
), inserted_keys AS (
    INSERT INTO {ws}.guest_keys (key, guest_ref)
    SELECT unnest(%(keys)s::uuid[]), %(ref)s
    ON CONFLICT DO NOTHING
)
SELECT row_version FROM rewritten

-- merges.rewrite_unmerged
-- Store new fields and keys of several locked guests that are in no merged group.
WITH element AS (
    SELECT * FROM jsonb_to_recordset(%(elements)s) AS element (
        ref uuid, guest_type text, body jsonb, last_seen timestamptz, modified_at timestamptz,
        keys uuid[]
    )
), deleted_keys AS (
    DELETE FROM {ws}.guest_keys AS k USING element AS e
    WHERE k.guest_ref = e.ref AND NOT k.key = ANY (e.keys)
      AND k.guest_ref = ANY (ARRAY(SELECT ref FROM element))
), inserted_keys AS (
    INSERT INTO {ws}.guest_keys (key, guest_ref) SELECT unnest(keys), ref FROM element
    ON CONFLICT DO NOTHING
)
UPDATE {ws}.guests AS g
SET guest_type = e.guest_type, body = e.body, last_seen = e.last_seen, modified_at = e.modified_at
FROM element AS e
WHERE g.ref = e.ref AND g.ref = ANY (ARRAY(SELECT ref FROM element))
RETURNING g.ref, g.xmin::text AS row_version

-- merges.survivors
-- Two guests with their survivors.
SELECT ref, survivor_ref FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[])

-- merges.lock_guests
-- Lock two guests, in ref order, until the transaction ends.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged
FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[]) ORDER BY ref FOR NO KEY UPDATE

-- merges.create
-- Merge two locked live guests: the survivor replaces the absorbed guest for its whole group.
WITH merged AS (
    INSERT INTO {ws}.merges
        (ref, survivor_ref, absorbed_ref, rule, evidence, source, job_ref, actor, merged_at)
    VALUES (%(ref)s, %(survivor)s, %(absorbed)s, %(rule)s, %(evidence)s, %(source)s, %(job)s,
        %(actor)s, %(now)s)
    RETURNING *
), first_merge AS (
    UPDATE {ws}.guests SET unmerged = %(unmerged)s::jsonb
    WHERE ref = %(survivor)s AND unmerged IS NULL
), absorbed AS (
    UPDATE {ws}.guests SET survivor_ref = %(survivor)s
    WHERE ref = %(absorbed)s OR survivor_ref = %(absorbed)s
)
SELECT ref, survivor_ref, absorbed_ref, rule, evidence, source, actor, merged_at, undone_at,
    undone_by
FROM merged

-- merges.fetch
-- One merge.
SELECT ref, survivor_ref, absorbed_ref, rule, evidence, source, actor, merged_at, undone_at,
    undone_by
FROM {ws}.merges WHERE ref = %(ref)s

-- merges.list
-- A page of merges, newest first, each row with the total; of one guest if `guest` is not null.
SELECT ref, survivor_ref, absorbed_ref, rule, evidence, source, actor, merged_at, undone_at,
    undone_by, count(*) OVER () AS total
FROM {ws}.merges
WHERE %(guest)s::uuid IS NULL OR survivor_ref = %(guest)s OR absorbed_ref = %(guest)s
ORDER BY merged_at DESC, ref LIMIT %(limit)s OFFSET %(offset)s

-- merges.undo
-- Undo a merge of a locked group: the absorbed guest is live again, and is the survivor of those
-- that were merged into it.
WITH RECURSIVE below AS (
    SELECT %(absorbed)s::uuid AS ref
    UNION ALL
    SELECT absorbed_ref FROM below JOIN {ws}.merges
        ON survivor_ref = below.ref AND undone_at IS NULL
), undone AS (
    UPDATE {ws}.merges SET undone_at = %(now)s, undone_by = %(actor)s WHERE ref = %(ref)s
    RETURNING ref, survivor_ref, absorbed_ref, rule, evidence, source, actor, merged_at,
        undone_at, undone_by
), released AS (
    UPDATE {ws}.guests SET survivor_ref = nullif(%(absorbed)s::uuid, guests.ref)
    WHERE ref IN (SELECT ref FROM below)
)
SELECT * FROM undone

-- merges.survivors_among
-- Which of these guests are survivors: other guests are merged into them.
SELECT DISTINCT survivor_ref FROM {ws}.merges
WHERE survivor_ref = ANY (%(guests)s::uuid[]) AND undone_at IS NULL

-- merges.delete_journalled
-- Delete the journal entries that reached guests through a merge.
DELETE FROM {ws}.guest_journal
WHERE guest_ref = ANY (%(guests)s::uuid[]) AND %(merge)s = ANY (merges)

-- merges.delete_journal
-- Delete the journal of a guest that is no longer a survivor.
DELETE FROM {ws}.guest_journal WHERE guest_ref = %(guest)s

-- merges.journal
-- The changes written to a guest since the first merge into it, in order.
SELECT intent FROM {ws}.guest_journal WHERE guest_ref = %(guest)s ORDER BY sequence

-- merges.group
-- A live guest and the guests merged into it.
SELECT ref FROM {ws}.guests WHERE ref = %(guest)s OR survivor_ref = %(guest)s

-- merges.group_with_guest
-- A live guest, and the guests merged into it without their fields; a merged guest alone.
SELECT ref, guest_type, CASE WHEN ref = %(guest)s THEN body ELSE '{}' END AS body, first_seen,
    last_seen, created_at, modified_at, survivor_ref, xmin::text AS row_version
FROM {ws}.guests WHERE ref = %(guest)s OR survivor_ref = %(guest)s

-- merges.in_force
-- The merges in force of a live guest's group, oldest first.
SELECT merges.ref, merges.survivor_ref, absorbed_ref, rule, evidence, source, actor, merged_at,
    undone_at, undone_by
FROM {ws}.merges JOIN {ws}.guests ON guests.ref = absorbed_ref
WHERE guests.survivor_ref = %(guest)s AND undone_at IS NULL
ORDER BY merged_at, merges.ref

-- merges.history
-- Every merge, undone or not, of a guest or of one merged into it, oldest first.
SELECT DISTINCT merges.ref, merges.survivor_ref, absorbed_ref, rule, evidence, source, actor,
    merged_at, undone_at, undone_by
FROM {ws}.merges JOIN {ws}.guests
    ON guests.ref = absorbed_ref OR guests.ref = merges.survivor_ref
WHERE guests.ref = %(guest)s OR guests.survivor_ref = %(guest)s
ORDER BY merged_at, ref

-- merges.joins
-- The records that joined these guests, newest first.
SELECT guest_ref, rule, evidence, source, source_ref, actor, joined_at
FROM {ws}.guest_joins WHERE guest_ref = ANY (%(guests)s::uuid[])
ORDER BY joined_at DESC, guest_ref, sequence DESC LIMIT %(limit)s

-- merges.creations
-- The creation reasons of posted guests, newest first.
SELECT ref AS guest_ref, creation_reason, created_at FROM {ws}.guests
WHERE ref = ANY (%(guests)s::uuid[]) AND creation_reason IS NOT NULL
ORDER BY created_at DESC, ref DESC LIMIT %(limit)s

-- merges.guest
-- One guest with its merge state.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged
FROM {ws}.guests WHERE ref = %(ref)s
