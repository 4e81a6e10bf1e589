-- search.words
-- The words of a name in the form in which they are stored.
SELECT {ws}.split_words(%(text)s) AS words

-- search.close_words
-- Stored words of names that begin with a word of the query, or differ from one by typos.
SELECT query.word AS query_word, near.word
FROM unnest(%(words)s::text[]) AS query (word)
CROSS JOIN LATERAL (
    SELECT word FROM {ws}.name_words
    WHERE name_words.word >= query.word AND name_words.word < query.word || chr(1114111)
      AND length(query.word) > 1
    ORDER BY name_words.word LIMIT 60
) AS near
UNION
SELECT query.word, near.word
FROM unnest(%(typo_of)s::text[], %(typos)s::text[]) AS query (word, typo)
CROSS JOIN LATERAL (
    SELECT word FROM {ws}.name_typos WHERE name_typos.typo = query.typo
    UNION ALL
    SELECT word FROM {ws}.name_words WHERE name_words.word = query.typo
    LIMIT 60
) AS near

-- search.by_words
-- Guests that have a word of every part of the query, the closest first, up to a limit.
WITH accepted AS (
    SELECT word, part, cost
    FROM unnest(%(words)s::text[], %(groups)s::integer[], %(costs)s::integer[])
        AS accepted (word, part, cost)
), hits AS (
    SELECT guest_ref, part, min(cost) AS cost
    FROM accepted JOIN {ws}.guest_words USING (word) GROUP BY guest_ref, part
)
SELECT guest_ref, sum(cost)::integer AS cost FROM hits
GROUP BY guest_ref HAVING count(*) = %(number)s
ORDER BY sum(cost) LIMIT %(most)s

-- search.by_any_word
-- Guests that have any of some words, up to a limit: those with the closest words first, of equally
-- close words as many of each. A guest may occur several times.
SELECT guests.guest_ref, near.cost
FROM unnest(%(words)s::text[], %(costs)s::integer[]) AS near (word, cost)
CROSS JOIN LATERAL (
    SELECT guest_ref, row_number() OVER () AS place FROM {ws}.guest_words
    WHERE guest_words.word = near.word LIMIT %(most)s
) AS guests
ORDER BY near.cost, guests.place LIMIT %(most)s

-- search.by_one_word
-- Guests that have a word, up to a limit.
SELECT guest_ref, 0 AS cost FROM {ws}.guest_words WHERE word = %(word)s LIMIT %(most)s

-- search.by_keys
-- Guests with any of some identity keys.
SELECT DISTINCT guest_ref, 0 AS cost FROM {ws}.guest_keys
WHERE key = ANY (%(keys)s::uuid[]) LIMIT %(most)s

-- search.providers
-- All providers of identifiers that were ever stored.
SELECT provider FROM {ws}.identifier_providers

-- search.by_ref
-- The guest with that ref, live or merged.
SELECT ref AS guest_ref, 0 AS cost FROM {ws}.guests WHERE ref = %(ref)s

-- search.by_ref_range
-- Guests whose refs lie between two refs, up to a limit.
SELECT ref AS guest_ref, 0 AS cost FROM {ws}.guests
WHERE ref BETWEEN %(first)s AND %(last)s ORDER BY ref LIMIT %(most)s

-- search.by_order
-- Guests who are contacts or consumers of orders with that reference, or of the order itself.
WITH matching AS (
    SELECT ref FROM {ws}.orders
    WHERE reference_key = %(reference_key)s AND reference_id = %(reference_id)s
    UNION
    SELECT ref FROM {ws}.orders WHERE ref = %(ref)s::uuid
)
SELECT guest_ref, 0 AS cost FROM {ws}.order_contacts JOIN matching ON order_ref = matching.ref
UNION
SELECT guest_ref, 1 FROM {ws}.order_consumers JOIN matching ON order_ref = matching.ref
LIMIT %(most)s

-- search.by_browser
-- The guest of a browser.
SELECT guest_ref, 0 AS cost FROM {ws}.browsers WHERE ref = %(browser)s

-- search.live
-- The live guests of some hits (of a merged guest its survivor), with the columns to sort by.
SELECT hit.ref AS hit_ref, live.ref, live.guest_type, live.last_seen
FROM unnest(%(guests)s::uuid[]) AS request (ref)
JOIN {ws}.guests AS hit ON hit.ref = request.ref
JOIN {ws}.guests AS live ON live.ref = coalesce(hit.survivor_ref, hit.ref)

-- search.copy_live
-- The refs of the live guests of a search (of a merged guest its survivor), as lines.
COPY (
    SELECT DISTINCT coalesce(g.survivor_ref, g.ref)::text
    FROM ({hits}) AS hit JOIN {ws}.guests AS g ON g.ref = hit.guest_ref
) TO STDOUT

-- search.latest
-- The refs of a page of live guests.
SELECT ref FROM {ws}.guests WHERE survivor_ref IS NULL {filters}
ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s

-- search.rows
-- Live guests by ref, with only the fields of a list row: a body may be large.
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
-- Count the live guests of each type.
SELECT guest_type, sum(guests)::bigint AS guests FROM {ws}.guest_counts GROUP BY guest_type
