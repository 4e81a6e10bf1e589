-- guests.create
-- Create a guest with its keys; no row if the rules behind its keys are out of date.
WITH created AS (
    INSERT INTO {ws}.guests
        (ref, guest_type, body, first_seen, last_seen, created_at, modified_at, creation_reason)
    SELECT %(ref)s, %(guest_type)s, %(body)s, %(now)s, %(now)s, %(now)s, %(now)s, %(reason)s
    FROM {ws}.identity_settings WHERE version = %(version)s
    RETURNING ref, xmin::text AS row_version
), inserted_keys AS (
    INSERT INTO {ws}.guest_keys (key, guest_ref)
    SELECT unnest(%(keys)s::uuid[]), ref FROM created
)
{join}
SELECT ref, row_version FROM created

-- guests.create_all
-- The same for several guests: a row for each that was created.
WITH element AS (
    SELECT * FROM jsonb_to_recordset(%(elements)s) AS element (
        batch_position integer, ref uuid, guest_type text, body jsonb, keys uuid[],
        now timestamptz, version uuid, reason jsonb
    ) WHERE version = (SELECT version FROM {ws}.identity_settings)
), created AS (
    INSERT INTO {ws}.guests
        (ref, guest_type, body, first_seen, last_seen, created_at, modified_at, creation_reason)
    SELECT ref, guest_type, body, now, now, now, now, reason FROM element
    RETURNING ref, xmin::text AS row_version
), inserted_keys AS (
    INSERT INTO {ws}.guest_keys (key, guest_ref) SELECT unnest(keys), ref FROM element
)
SELECT batch_position, ref, row_version FROM created JOIN element USING (ref)

-- guests.fetch
-- One guest by ref; an absorbed one names its survivor.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref,
    xmin::text AS row_version
FROM {ws}.guests WHERE ref = %(ref)s

-- guests.lock
-- Lock one guest by ref until the transaction ends.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref,
    xmin::text AS row_version
FROM {ws}.guests WHERE ref = %(ref)s FOR NO KEY UPDATE

-- guests.list
-- A page of live guests, each row with the total.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at,
    ({total}) AS total {version}
FROM {ws}.guests WHERE survivor_ref IS NULL {filters}
ORDER BY {order} {page}

-- guests.list_deep
-- The same for a large offset: the rows to skip are skipped in the index alone.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at,
    ({total}) AS total {version}
FROM {ws}.guests JOIN (
    SELECT ref FROM {ws}.guests WHERE survivor_ref IS NULL {filters}
    ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s
) AS page USING (ref)
ORDER BY {order}

-- guests.count
-- The number of live guests that match the filters.
SELECT count(*) AS total FROM {ws}.guests WHERE survivor_ref IS NULL {filters}

-- guests.count_all
-- The number of all live guests, from stored counts.
SELECT coalesce(sum(guests), 0)::bigint AS total FROM {ws}.guest_counts

-- guests.count_type
-- The number of live guests of a type, from stored counts.
SELECT coalesce(sum(guests), 0)::bigint AS total FROM {ws}.guest_counts
WHERE guest_type = %(guest_type)s

-- guests.version
-- Part of a list whose filters follow the identity rules: the version of the rules in force.
, (SELECT version FROM {ws}.identity_settings) AS version

-- guests.by_email
-- Filter: `email` or any of `emails`, whatever the case (G-9); that of an absorbed guest leads to
-- the survivor (G-14).
AND ref = ANY (ARRAY(
    SELECT coalesce(owner.survivor_ref, owner.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS owner ON owner.ref = guest_ref
    WHERE key = %(email_key)s
))

-- guests.exact_email
-- Sort key: guests with exactly this e-mail address come first (G-9).
(ref IN (
    SELECT coalesce(owner.survivor_ref, owner.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS owner ON owner.ref = guest_ref
    WHERE key = %(email_key)s
        AND (owner.body ->> 'email' = %(email)s OR owner.body -> 'emails' ? %(email)s)
)) DESC,

-- guests.by_email_untouched
-- Filter: an e-mail address exactly as stored (VG-2); that of an absorbed guest leads to the
-- survivor (G-14).
AND ref = ANY (ARRAY(
    SELECT coalesce(owner.survivor_ref, owner.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS owner ON owner.ref = guest_ref
    WHERE key = %(untouched_key)s
        AND (owner.body ->> 'email' = %(untouched)s OR owner.body -> 'emails' ? %(untouched)s)
))

-- guests.by_identifier
-- Filter: an identifier, its id as identity rules compare it (G-9); that of an absorbed guest leads
-- to the survivor (G-14).
AND ref = ANY (ARRAY(
    SELECT coalesce(owner.survivor_ref, owner.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS owner ON owner.ref = guest_ref
    WHERE key = %(identifier_key)s
))

-- guests.by_exact_identifier
-- Filter: exactly this identifier, whose value never identifies by rules.
AND ref = ANY (ARRAY(
    SELECT coalesce(owner.survivor_ref, owner.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS owner ON owner.ref = guest_ref
    WHERE key = %(identifier_key)s AND owner.body -> 'identifiers' @> %(identifier)s
))

-- guests.exact_identifier
-- Sort key: guests with exactly this identifier come first (G-9).
(ref IN (
    SELECT coalesce(owner.survivor_ref, owner.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS owner ON owner.ref = guest_ref
    WHERE key = %(identifier_key)s AND owner.body -> 'identifiers' @> %(identifier)s
)) DESC,

-- guests.by_order_ref
-- Filter: contacts and consumers of an order (G-8).
AND ref = ANY (ARRAY(
    SELECT coalesce(linked.survivor_ref, linked.ref)
    FROM {ws}.guests AS linked JOIN (
        SELECT guest_ref FROM {ws}.order_contacts WHERE order_ref = %(order_ref)s
        UNION ALL
        SELECT guest_ref FROM {ws}.order_consumers WHERE order_ref = %(order_ref)s
    ) AS people ON people.guest_ref = linked.ref
))

-- guests.by_order_reference_id
-- Filter: contacts and consumers of the orders with a referenceId (G-8).
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
-- Filter: exactly this phone number (G-13), looked up by its last digits, or the number as identity
-- rules compare it (G-9); that of an absorbed guest leads to the survivor (G-14).
AND ref = ANY (ARRAY(
    SELECT coalesce(owner.survivor_ref, owner.ref)
    FROM {ws}.guest_words JOIN {ws}.guests AS owner ON owner.ref = guest_ref
    WHERE word = ANY ({ws}.search_words(jsonb_build_object('phone', %(phone_number)s::text)))
        AND (owner.body -> 'phone_numbers' ? %(phone_number)s
             OR owner.body ->> 'phone' = %(phone_number)s)
    UNION ALL
    SELECT coalesce(owner.survivor_ref, owner.ref)
    FROM {ws}.guest_keys JOIN {ws}.guests AS owner ON owner.ref = guest_ref
    WHERE key = ANY (%(phone_keys)s::uuid[])
))

-- guests.by_phone_text
-- Filter: exactly this phone number (G-13), which has too few digits to be looked up by index.
AND (body -> 'phone_numbers' ? %(phone_number)s OR body ->> 'phone' = %(phone_number)s)

-- guests.exact_phone_number
-- Sort key: guests with exactly this phone number come first (G-9).
(ref IN (
    SELECT coalesce(owner.survivor_ref, owner.ref)
    FROM {ws}.guest_words JOIN {ws}.guests AS owner ON owner.ref = guest_ref
    WHERE word = ANY ({ws}.search_words(jsonb_build_object('phone', %(phone_number)s::text)))
        AND (owner.body -> 'phone_numbers' ? %(phone_number)s
             OR owner.body ->> 'phone' = %(phone_number)s)
)) DESC,

-- guests.sort_keys
-- Sort keys (L-11), `name: expression`. Text is sorted by code point, whatever the database's locale.
created_at: created_at
modified_at: modified_at
first_seen: first_seen
last_seen: last_seen
email: (body ->> 'email') COLLATE "C"
first_name: (body ->> 'first_name') COLLATE "C"
last_name: (body ->> 'last_name') COLLATE "C"
guest_type: (guest_type) COLLATE "C"

-- guests.sort_last
-- Default sort order, and the last sort keys of every other, which make it unique (L-10).
created_at, ref
