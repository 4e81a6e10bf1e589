-- file_exports.use_snapshot
-- Read one snapshot: every later statement of this transaction sees the data as of now.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- file_exports.guests
-- The next live guests in ref order.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at
FROM {ws}.guests WHERE survivor_ref IS NULL AND (%(after)s::uuid IS NULL OR ref > %(after)s)
ORDER BY ref LIMIT %(limit)s

-- file_exports.guest_extensions
-- The data extensions of guests.
SELECT guest_ref, name, key, pairs FROM {ws}.guest_extensions
WHERE guest_ref = ANY (%(guests)s::uuid[]) ORDER BY created_at, name, key

-- file_exports.guests_total
-- The number of live guests.
SELECT coalesce(sum(guests), 0)::bigint AS total FROM {ws}.guest_counts

-- file_exports.guest_pairs
-- Every pair of the data extensions of guests: name, key, pair and the JSON types of its values.
SELECT name, key, pair, array_agg(DISTINCT kind) AS kinds FROM (
    SELECT name, key, each.pair, CASE each.value WHEN '""' THEN 'empty' ELSE jsonb_typeof(each.value) END AS kind
    FROM {ws}.guest_extensions CROSS JOIN LATERAL jsonb_each(pairs) AS each (pair, value)
) AS typed GROUP BY name, key, pair ORDER BY name, key, pair

-- file_exports.orders
-- The next orders in ref order.
SELECT ref, reference_id, ordered_at, body, created_at, modified_at
FROM {ws}.orders WHERE %(after)s::uuid IS NULL OR ref > %(after)s
ORDER BY ref LIMIT %(limit)s

-- file_exports.orders_total
-- The number of orders.
SELECT coalesce(sum(orders), 0)::bigint AS total FROM {ws}.order_counts

-- file_exports.uses
-- Which items consumers of orders use, by the items' referenceIds.
SELECT u.order_consumer_ref AS ref, i.body ->> 'reference_id' AS reference_id
FROM {ws}.order_consumer_items AS u
JOIN {ws}.order_items AS i ON i.ref = u.order_item_ref
WHERE i.order_ref = ANY (%(orders)s::uuid[]) ORDER BY u.position

-- file_exports.item_extensions
-- The data extensions of items of orders.
SELECT e.order_item_ref, e.name, e.key, e.pairs
FROM {ws}.order_item_extensions AS e JOIN {ws}.order_items AS i ON i.ref = e.order_item_ref
WHERE i.order_ref = ANY (%(orders)s::uuid[])

-- file_exports.order_pairs
-- Every pair of the data extensions of orders: name, key, pair and the JSON types of its values.
SELECT name, key, pair, array_agg(DISTINCT kind) AS kinds FROM (
    SELECT name, key, each.pair, CASE each.value WHEN '""' THEN 'empty' ELSE jsonb_typeof(each.value) END AS kind
    FROM {ws}.order_extensions CROSS JOIN LATERAL jsonb_each(pairs) AS each (pair, value)
) AS typed GROUP BY name, key, pair ORDER BY name, key, pair

-- file_exports.events
-- The next events in the order of their time.
SELECT ref, at, guest_ref, browser_ref, type, channel, point_of_sale, body
FROM {ws}.events
WHERE %(after_at)s::timestamptz IS NULL OR (at, ref) > (%(after_at)s, %(after_ref)s::uuid)
ORDER BY at, ref LIMIT %(limit)s

-- file_exports.events_total
-- The estimated number of events.
SELECT greatest(sum(c.reltuples), 0)::bigint AS total
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = '{ws}.events'::regclass

-- file_exports.create
-- Create a pending export.
INSERT INTO {ws}.file_exports (ref, entity, format, compressed, compression, state, actor,
    created_at)
VALUES (%(ref)s, %(entity)s, %(format)s, %(compressed)s, %(compression)s, 'waiting', %(actor)s,
    %(now)s)
RETURNING ref, entity, format, compressed, compression, state, records, size, fault, attempts, next_attempt_at,
    actor, created_at, finished_at, expires_at

-- file_exports.fetch
-- One export.
SELECT ref, entity, format, compressed, compression, state, records, size, fault, attempts, next_attempt_at,
    actor, created_at, finished_at, expires_at
FROM {ws}.file_exports WHERE ref = %(ref)s

-- file_exports.list
-- A page of exports, newest first, each row with the total.
SELECT ref, entity, format, compressed, compression, state, records, size, fault, attempts, next_attempt_at,
    actor, created_at, finished_at, expires_at, count(*) OVER () AS total
FROM {ws}.file_exports ORDER BY created_at DESC, ref LIMIT %(limit)s OFFSET %(offset)s

-- file_exports.set_state
-- Set the state of an export.
UPDATE {ws}.file_exports
SET state = %(state)s, records = %(records)s, size = %(size)s, fault = %(fault)s,
    finished_at = CASE WHEN %(finished)s THEN %(now)s ELSE finished_at END,
    expires_at = %(expires)s, next_attempt_at = NULL
WHERE ref = %(ref)s

-- file_exports.postpone
-- Store why an export could not be written, and when it is tried again.
UPDATE {ws}.file_exports
SET attempts = %(attempts)s, fault = %(error)s, next_attempt_at = %(at)s
WHERE ref = %(ref)s

-- file_exports.unfinished
-- Exports that are not written completely.
SELECT ref FROM {ws}.file_exports WHERE state IN ('waiting', 'writing') ORDER BY created_at, ref

-- file_exports.with_files
-- Exports whose file is stored or may be: a removed export has a size until its file is deleted.
SELECT ref, created_at, expires_at FROM {ws}.file_exports
WHERE state IN ('done', 'writing') OR (state = 'removed' AND size IS NOT NULL)

-- file_exports.set_removed
-- Mark an export as removed; its file is no longer served.
UPDATE {ws}.file_exports SET state = 'removed' WHERE ref = %(ref)s

-- file_exports.file_deleted
-- Store that the file of a removed export is deleted.
UPDATE {ws}.file_exports SET size = NULL WHERE ref = %(ref)s
