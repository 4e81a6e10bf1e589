-- static_lists.columns
-- The columns of a static list.
ref, friendly_id, name, description, created_by, created_at, modified_by, modified_at

-- static_lists.create
-- Insert a static list; no row if its friendly id exists.
INSERT INTO {ws}.static_lists
    (ref, friendly_id, name, description, created_by, created_at, modified_by, modified_at)
VALUES (%(ref)s, %(friendly_id)s, %(name)s, %(description)s, %(actor)s, %(now)s, %(actor)s, %(now)s)
ON CONFLICT (friendly_id) DO NOTHING
RETURNING {static_lists.columns}

-- static_lists.fetch
-- One static list by ref or friendly id.
SELECT {static_lists.columns} FROM {ws}.static_lists WHERE ref = %(ref)s OR friendly_id = %(friendly_id)s

-- static_lists.lock
-- One static list by ref, locked until the transaction ends.
SELECT {static_lists.columns} FROM {ws}.static_lists WHERE ref = %(ref)s FOR UPDATE

-- static_lists.hold
-- The ref of a static list by ref or friendly id, locked against deletion until the transaction ends.
SELECT ref FROM {ws}.static_lists WHERE ref = %(ref)s OR friendly_id = %(friendly_id)s FOR KEY SHARE

-- static_lists.hold_all
-- Which of some friendly ids exist, locked against deletion until the transaction ends.
SELECT friendly_id FROM {ws}.static_lists WHERE friendly_id = ANY (%(names)s) FOR KEY SHARE

-- static_lists.list
-- Every static list, newest first.
SELECT {static_lists.columns} FROM {ws}.static_lists ORDER BY created_at DESC, ref

-- static_lists.rewrite
-- Replace the columns of a locked static list.
UPDATE {ws}.static_lists SET name = %(name)s, description = %(description)s, modified_by = %(actor)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE ref = %(ref)s
RETURNING {static_lists.columns}

-- static_lists.delete
-- Delete a static list with its members.
DELETE FROM {ws}.static_lists WHERE ref = %(ref)s

-- static_lists.sizes
-- The number of guests of each of some lists, if it has any. Guests that are merged into each other count once:
-- the few rows of merged guests are counted apart.
WITH merged AS (
    SELECT m.list_ref, m.guest_ref, g.survivor_ref
    FROM {ws}.guests AS g JOIN {ws}.static_list_members AS m ON m.guest_ref = g.ref
    WHERE g.survivor_ref IS NOT NULL AND m.list_ref = ANY (%(lists)s::uuid[])
), survivors AS (
    SELECT list_ref, count(DISTINCT survivor_ref) FILTER (WHERE NOT EXISTS (
        SELECT FROM {ws}.static_list_members AS m
        WHERE m.list_ref = merged.list_ref AND m.guest_ref = merged.survivor_ref
    )) - count(*) AS more
    FROM merged GROUP BY list_ref
)
SELECT list_ref, counted.rows + coalesce(survivors.more, 0) AS size
FROM (
    SELECT list_ref, count(*) AS rows FROM {ws}.static_list_members
    WHERE list_ref = ANY (%(lists)s::uuid[]) GROUP BY list_ref
) AS counted LEFT JOIN survivors USING (list_ref)

-- static_lists.add
-- Add guests to a list; guests that do not exist are skipped.
INSERT INTO {ws}.static_list_members (list_ref, guest_ref, added_by, added_at)
SELECT %(list)s, ref, %(actor)s, %(now)s FROM {ws}.guests WHERE ref = ANY (%(guests)s::uuid[])
ORDER BY ref
ON CONFLICT DO NOTHING

-- static_lists.remove
-- Remove guests from a list, with the guests merged into them.
DELETE FROM {ws}.static_list_members AS m
USING {ws}.guests AS g
WHERE m.list_ref = %(list)s AND g.ref = m.guest_ref
  AND (g.ref = ANY (%(guests)s::uuid[]) OR g.survivor_ref = ANY (%(guests)s::uuid[]))

-- static_lists.memberships
-- The Live segments that a guest is stored as a member of, and the lists that it, or a guest merged
-- into it, is on.
SELECT false AS is_list, s.friendly_id, s.name, m.since, NULL AS added_by,
    s.definition ? 'sql' AS is_sql
FROM {ws}.segment_members AS m JOIN {ws}.segments AS s ON s.ref = m.segment_ref
WHERE m.guest_ref = %(guest)s
UNION ALL
SELECT true, l.friendly_id, l.name, min(m.added_at), (array_agg(m.added_by ORDER BY m.added_at))[1], false
FROM {ws}.guests AS g
JOIN {ws}.static_list_members AS m ON m.guest_ref = g.ref
JOIN {ws}.static_lists AS l ON l.ref = m.list_ref
WHERE g.ref = %(guest)s OR g.survivor_ref = %(guest)s
GROUP BY l.ref
ORDER BY name, friendly_id

-- static_lists.erase
-- Remove erased guests from all lists.
DELETE FROM {ws}.static_list_members WHERE guest_ref = ANY (%(guests)s::uuid[])

-- static_lists.access
-- Lists that guests are on.
SELECT l.name, m.guest_ref, m.added_at FROM {ws}.static_list_members AS m
JOIN {ws}.static_lists AS l ON l.ref = m.list_ref
WHERE m.guest_ref = ANY (%(guests)s::uuid[]) ORDER BY m.added_at, l.name

-- static_lists.find_by_keys
-- The live guests with identity keys, each with the key.
SELECT DISTINCT k.key AS requested, coalesce(g.survivor_ref, g.ref) AS ref
FROM {ws}.guest_keys AS k JOIN {ws}.guests AS g ON g.ref = k.guest_ref
WHERE k.key = ANY (%(keys)s::uuid[])

-- static_lists.find_live
-- The live guests of refs: survivors in place of merged guests.
SELECT g.ref AS requested, coalesce(g.survivor_ref, g.ref) AS ref FROM {ws}.guests AS g
WHERE g.ref = ANY (%(guests)s::uuid[])
