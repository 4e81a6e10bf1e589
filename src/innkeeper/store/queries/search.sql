-- search.words
-- The words of a name as they are stored.
SELECT {ws}.split_words(%(text)s) AS words

-- search.close_words
-- Words of names that begin like one that was asked for, or may be it with a slip of the pen.
SELECT asked.word AS asked, near.word
FROM unnest(%(words)s::text[]) AS asked (word)
CROSS JOIN LATERAL (
    SELECT word FROM {ws}.name_words
    WHERE name_words.word >= asked.word AND name_words.word < asked.word || chr(1114111)
      AND length(asked.word) > 1
    ORDER BY name_words.word LIMIT 60
) AS near
UNION
SELECT asked.word, near.word
FROM unnest(%(slip_of)s::text[], %(slips)s::text[]) AS asked (word, slip)
CROSS JOIN LATERAL (
    SELECT word FROM {ws}.name_typos WHERE name_typos.typo = asked.slip
    UNION ALL
    SELECT word FROM {ws}.name_words WHERE name_words.word = asked.slip
    LIMIT 60
) AS near

-- search.by_words
-- Guests that have a word of every group, the closest first; at most a thousand.
WITH wanted AS (
    SELECT word, part, cost
    FROM unnest(%(words)s::text[], %(places)s::integer[], %(costs)s::integer[])
        AS wanted (word, part, cost)
), hits AS (
    SELECT guest_ref, part, min(cost) AS cost
    FROM wanted JOIN {ws}.guest_words USING (word) GROUP BY guest_ref, part
)
SELECT guest_ref, sum(cost)::integer AS cost FROM hits
GROUP BY guest_ref HAVING count(*) = %(number)s
ORDER BY sum(cost) LIMIT %(most)s

-- search.by_one_word
-- Guests that have a word; at most a thousand.
SELECT guest_ref, 0 AS cost FROM {ws}.guest_words WHERE word = %(word)s LIMIT %(most)s

-- search.by_keys
-- Guests that an index key leads to.
SELECT DISTINCT guest_ref, 0 AS cost FROM {ws}.guest_keys
WHERE key = ANY (%(keys)s::uuid[]) LIMIT %(most)s

-- search.providers
-- Providers of identifiers that were ever used.
SELECT provider FROM {ws}.identifier_providers

-- search.by_ref
-- The guest of that ref, live or not.
SELECT ref AS guest_ref, 0 AS cost FROM {ws}.guests WHERE ref = %(ref)s

-- search.by_order
-- Guests who are contacts or consumers of orders with that reference, or of the order itself.
WITH wanted AS (
    SELECT ref FROM {ws}.orders
    WHERE reference_key = %(reference_key)s AND reference_id = %(reference_id)s
    UNION
    SELECT ref FROM {ws}.orders WHERE ref = %(ref)s::uuid
)
SELECT guest_ref, 0 AS cost FROM {ws}.order_contacts JOIN wanted ON order_ref = wanted.ref
UNION
SELECT guest_ref, 1 FROM {ws}.order_consumers JOIN wanted ON order_ref = wanted.ref
LIMIT %(most)s

-- search.by_browser
-- The guest whose browser it is.
SELECT guest_ref, 0 AS cost FROM {ws}.browsers WHERE ref = %(browser)s

-- search.live
-- Of some guests those who stand for them now, with what a list is sorted by.
SELECT found.ref AS found, live.ref, live.guest_type, live.last_seen
FROM unnest(%(guests)s::uuid[]) AS wanted (ref)
JOIN {ws}.guests AS found ON found.ref = wanted.ref
JOIN {ws}.guests AS live ON live.ref = coalesce(found.survivor_ref, found.ref)

-- search.latest
-- Refs of a page of live guests.
SELECT ref FROM {ws}.guests WHERE survivor_ref IS NULL {filters}
ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s

-- search.rows
-- Live guests by ref, with what a line of a list says of each and no more: a body may be large.
SELECT g.ref, g.guest_type, g.first_seen, g.last_seen, g.created_at, g.modified_at,
    jsonb_strip_nulls(jsonb_build_object(
        'first_name', left(g.body ->> 'first_name', 300),
        'last_name', left(g.body ->> 'last_name', 300),
        'email', left(coalesce(g.body ->> 'email', g.body -> 'emails' ->> 0), 300),
        'phone', left(coalesce(g.body ->> 'phone', g.body -> 'phone_numbers' ->> 0), 300),
        'city', left(g.body ->> 'city', 300),
        'country', g.body ->> 'country'
    )) AS body, g.body -> 'identifiers' -> 0 IS NOT NULL AS has_identifiers
FROM {ws}.guests AS g WHERE g.ref = ANY (%(guests)s::uuid[])

-- search.counts
-- How many live guests of each type there are.
SELECT guest_type, sum(guests)::bigint AS guests FROM {ws}.guest_counts GROUP BY guest_type
