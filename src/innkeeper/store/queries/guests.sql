-- guests.create
-- A new guest and its keys; no row when the rules that its keys follow are out of date.
WITH created AS (
    INSERT INTO {ws}.guests
        (ref, guest_type, body, first_seen, last_seen, created_at, modified_at, creation_reason)
    SELECT %(ref)s, %(guest_type)s, %(body)s, %(now)s, %(now)s, %(now)s, %(now)s, %(reason)s
    FROM {ws}.identity_settings WHERE version = %(version)s
    RETURNING ref, xmin::text AS row_version
), keyed AS (
    INSERT INTO {ws}.guest_keys (key, guest_ref)
    SELECT unnest(%(keys)s::uuid[]), ref FROM created
)
{noted}
SELECT ref, row_version FROM created

-- guests.fetch
-- One guest by ref; an absorbed one names its survivor.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref,
    xmin::text AS row_version
FROM {ws}.guests WHERE ref = %(ref)s

-- guests.lock
-- One guest by ref, held until the transaction ends.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref,
    xmin::text AS row_version
FROM {ws}.guests WHERE ref = %(ref)s FOR NO KEY UPDATE

-- guests.lock_group
-- A live guest and all that it stands for: nothing more can be linked to them.
SELECT ref FROM {ws}.guests WHERE ref = %(ref)s OR survivor_ref = %(ref)s
ORDER BY ref FOR UPDATE

-- guests.delete_orders
-- Remove the orders of a locked guest that no other guest is a contact of (G-7).
WITH same AS (
    SELECT ref FROM {ws}.guests WHERE ref = %(ref)s OR survivor_ref = %(ref)s
)
DELETE FROM {ws}.orders AS o
WHERE o.ref IN (
    SELECT order_ref FROM {ws}.order_contacts WHERE guest_ref IN (SELECT ref FROM same)
    UNION ALL
    SELECT order_ref FROM {ws}.order_consumers WHERE guest_ref IN (SELECT ref FROM same)
) AND NOT EXISTS (
    SELECT FROM {ws}.order_contacts AS c
    WHERE c.order_ref = o.ref AND c.guest_ref NOT IN (SELECT ref FROM same)
)

-- guests.delete
-- Remove a locked live guest and all that it stands for; keys, extensions, merges and what
-- guards noted of it go too.
WITH noted AS (
    DELETE FROM {ws}.identity_guarded WHERE guests && ARRAY(
        SELECT ref FROM {ws}.guests WHERE ref = %(ref)s OR survivor_ref = %(ref)s
    )
)
DELETE FROM {ws}.guests WHERE ref = %(ref)s OR survivor_ref = %(ref)s

-- guests.list
-- A page of live guests, each row with the number of all.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at,
    ({total}) AS total {version}
FROM {ws}.guests WHERE survivor_ref IS NULL {filters}
ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s

-- guests.list_deep
-- The same far into a list: what is skipped is skipped in the index alone.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at,
    ({total}) AS total {version}
FROM {ws}.guests JOIN (
    SELECT ref FROM {ws}.guests WHERE survivor_ref IS NULL {filters}
    ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s
) AS page USING (ref)
ORDER BY {order}

-- guests.count
-- How many live guests meet filters.
SELECT count(*) AS total FROM {ws}.guests WHERE survivor_ref IS NULL {filters}

-- guests.count_all
-- How many live guests there are, without counting them.
SELECT coalesce(sum(guests), 0)::bigint AS total FROM {ws}.guest_counts

-- guests.count_type
-- How many live guests of a type there are, without counting them.
SELECT coalesce(sum(guests), 0)::bigint AS total FROM {ws}.guest_counts
WHERE guest_type = %(guest_type)s

-- guests.version
-- Part of a list whose filters follow the identity rules: which are in force.
, (SELECT version FROM {ws}.identity_settings) AS version

-- guests.by_email
-- Filter: `email` or any of `emails`, whatever the case (G-9); that of an absorbed guest leads to
-- the survivor (G-14).
AND ref = ANY (ARRAY(
    SELECT coalesce(found.survivor_ref, found.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS found ON found.ref = guest_ref
    WHERE key = %(email_key)s
))

-- guests.exact_email
-- Sort key: those who have the e-mail address as it was sent come first (G-9).
(ref IN (
    SELECT coalesce(found.survivor_ref, found.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS found ON found.ref = guest_ref
    WHERE key = %(email_key)s
        AND (found.body ->> 'email' = %(email)s OR found.body -> 'emails' ? %(email)s)
)) DESC,

-- guests.by_email_untouched
-- Filter: an e-mail address exactly as stored (VG-2); that of an absorbed guest leads to the
-- survivor (G-14).
AND ref = ANY (ARRAY(
    SELECT coalesce(found.survivor_ref, found.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS found ON found.ref = guest_ref
    WHERE key = %(untouched_key)s
        AND (found.body ->> 'email' = %(untouched)s OR found.body -> 'emails' ? %(untouched)s)
))

-- guests.by_identifier
-- Filter: an identifier, its id as identity rules compare it (G-9); that of an absorbed guest leads
-- to the survivor (G-14).
AND ref = ANY (ARRAY(
    SELECT coalesce(found.survivor_ref, found.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS found ON found.ref = guest_ref
    WHERE key = %(identifier_key)s
))

-- guests.by_exact_identifier
-- Filter: an identifier as it was sent, one that no identity rule looks at.
AND ref = ANY (ARRAY(
    SELECT coalesce(found.survivor_ref, found.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS found ON found.ref = guest_ref
    WHERE key = %(identifier_key)s AND found.body -> 'identifiers' @> %(identifier)s
))

-- guests.exact_identifier
-- Sort key: those who have the identifier as it was sent come first (G-9).
(ref IN (
    SELECT coalesce(found.survivor_ref, found.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS found ON found.ref = guest_ref
    WHERE key = %(identifier_key)s AND found.body -> 'identifiers' @> %(identifier)s
)) DESC,

-- guests.by_order_ref
-- Filter: who is a contact or consumer of an order (G-8).
AND ref = ANY (ARRAY(
    SELECT coalesce(linked.survivor_ref, linked.ref)
    FROM {ws}.guests AS linked JOIN (
        SELECT guest_ref FROM {ws}.order_contacts WHERE order_ref = %(order_ref)s
        UNION ALL
        SELECT guest_ref FROM {ws}.order_consumers WHERE order_ref = %(order_ref)s
    ) AS people ON people.guest_ref = linked.ref
))

-- guests.by_order_reference_id
-- Filter: who is a contact or consumer of an order with that number (G-8).
AND ref = ANY (ARRAY(
    SELECT coalesce(linked.survivor_ref, linked.ref)
    FROM {ws}.orders AS o JOIN (
        SELECT order_ref, guest_ref FROM {ws}.order_contacts
        UNION ALL
        SELECT order_ref, guest_ref FROM {ws}.order_consumers
    ) AS people ON people.order_ref = o.ref
    JOIN {ws}.guests AS linked ON people.guest_ref = linked.ref
    WHERE o.reference_key = %(reference_key)s AND o.reference_id = %(order_reference_id)s
))

-- guests.by_guest_type
-- Filter: guests of one type.
AND guest_type = %(guest_type)s

-- guests.by_member
-- Filter: text members of the body, all equal (G-13).
AND body @> %(members)s

-- guests.by_phone_number
-- Filter: a phone number as it was sent (G-13), found by its last digits, or as identity rules
-- compare it (G-9); that of an absorbed guest leads to the survivor (G-14).
AND ref = ANY (ARRAY(
    SELECT coalesce(found.survivor_ref, found.ref)
    FROM {ws}.guest_words JOIN {ws}.guests AS found ON found.ref = guest_ref
    WHERE word = ANY ({ws}.words_of_guest(jsonb_build_object('phone', %(phone_number)s::text)))
        AND (found.body -> 'phone_numbers' ? %(phone_number)s
             OR found.body ->> 'phone' = %(phone_number)s)
    UNION ALL
    SELECT coalesce(found.survivor_ref, found.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS found ON found.ref = guest_ref
    WHERE key = ANY (%(phone_keys)s::uuid[])
))

-- guests.by_phone_text
-- Filter: a phone number as it was sent (G-13), with too few digits to be found by.
AND (body -> 'phone_numbers' ? %(phone_number)s OR body ->> 'phone' = %(phone_number)s)

-- guests.exact_phone_number
-- Sort key: those who have the phone number as it was sent come first (G-9).
(ref IN (
    SELECT coalesce(found.survivor_ref, found.ref)
    FROM {ws}.guest_words JOIN {ws}.guests AS found ON found.ref = guest_ref
    WHERE word = ANY ({ws}.words_of_guest(jsonb_build_object('phone', %(phone_number)s::text)))
        AND (found.body -> 'phone_numbers' ? %(phone_number)s
             OR found.body ->> 'phone' = %(phone_number)s)
)) DESC,

-- guests.sort_created_at_asc
-- Sort key (L-11).
created_at ASC,

-- guests.sort_created_at_desc
-- Sort key (L-11).
created_at DESC,

-- guests.sort_modified_at_asc
-- Sort key (L-11).
modified_at ASC,

-- guests.sort_modified_at_desc
-- Sort key (L-11).
modified_at DESC,

-- guests.sort_first_seen_asc
-- Sort key (L-11).
first_seen ASC,

-- guests.sort_first_seen_desc
-- Sort key (L-11).
first_seen DESC,

-- guests.sort_last_seen_asc
-- Sort key (L-11).
last_seen ASC,

-- guests.sort_last_seen_desc
-- Sort key (L-11).
last_seen DESC,

-- guests.sort_email_asc
-- Sort key (L-11), by code point wherever the database was made.
(body ->> 'email') COLLATE "C" ASC,

-- guests.sort_email_desc
-- Sort key (L-11), by code point wherever the database was made.
(body ->> 'email') COLLATE "C" DESC,

-- guests.sort_first_name_asc
-- Sort key (L-11), by code point wherever the database was made.
(body ->> 'first_name') COLLATE "C" ASC,

-- guests.sort_first_name_desc
-- Sort key (L-11), by code point wherever the database was made.
(body ->> 'first_name') COLLATE "C" DESC,

-- guests.sort_last_name_asc
-- Sort key (L-11), by code point wherever the database was made.
(body ->> 'last_name') COLLATE "C" ASC,

-- guests.sort_last_name_desc
-- Sort key (L-11), by code point wherever the database was made.
(body ->> 'last_name') COLLATE "C" DESC,

-- guests.sort_guest_type_asc
-- Sort key (L-11), by code point wherever the database was made.
(guest_type) COLLATE "C" ASC,

-- guests.sort_guest_type_desc
-- Sort key (L-11), by code point wherever the database was made.
(guest_type) COLLATE "C" DESC,

-- guests.sort_last
-- Default order, and what makes every order a total one (L-10).
created_at, ref
