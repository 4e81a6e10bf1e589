-- lake.repeatable_read
-- Make all reads of this transaction see one moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ

-- lake.lock
-- Wait for the exclusive lock of flushes, or of compactions, until `lake.unlock`. Outside a transaction,
-- whose snapshot would be older than the writes of the previous holder.
SELECT pg_advisory_lock(%(lock)s)

-- lake.try_lock
-- Try to take that lock without waiting; returns whether it was taken.
SELECT pg_try_advisory_lock(%(lock)s) AS ours

-- lake.unlock
-- Release the exclusive lock.
SELECT pg_advisory_unlock(%(lock)s)

-- lake.share
-- Wait for a shared lock, which excludes exclusive ones until `lake.unshare`.
SELECT pg_advisory_lock_shared(%(lock)s)

-- lake.unshare
-- Release the shared lock.
SELECT pg_advisory_unlock_shared(%(lock)s)

-- lake.hold
-- Take a shared lock until the transaction ends: dropped files remain, or flushes wait.
SELECT pg_advisory_xact_lock_shared(%(lock)s)

-- lake.state
-- The state of the lake, the name of this snapshot, and the number of pending changes.
SELECT folder, sequence, generation, flushed_at, compacted_at, pg_current_snapshot()::text AS snapshot,
    now() AS now,
    (SELECT count(*) FROM (SELECT FROM {ws}.lake_changes LIMIT %(most)s) AS counted) AS waiting,
    EXISTS (SELECT FROM {ws}.guests WHERE survivor_ref IS NOT NULL) AS merged
FROM {ws}.lake_state

-- lake.waiting
-- Whether changes are pending for a flush or for Live segments, the time of the last flush, and,
-- while no segment is Live, the start of the oldest import that runs.
SELECT EXISTS (SELECT FROM {ws}.lake_changes) AS waiting,
    EXISTS (SELECT FROM {ws}.segment_queue) AS touched, flushed_at, (
        SELECT min(created_at) FROM {ws}.batches
        WHERE state = 'processing' AND finished_at IS NULL
            AND NOT EXISTS (SELECT FROM {ws}.segments WHERE status = 'LIVE')
    ) AS importing_since
FROM {ws}.lake_state

-- lake.files
-- Every file of the lake, oldest first.
SELECT path, name, kind, sequence, rows, bytes, format_version, created_at
FROM {ws}.lake_files ORDER BY sequence, path

-- lake.make_taken
-- The changes that a flush takes from the feed; emptied when its transaction ends.
CREATE TEMPORARY TABLE IF NOT EXISTS lake_taken (
    kind text NOT NULL, ref uuid NOT NULL, is_new boolean NOT NULL, at timestamptz
) ON COMMIT DELETE ROWS

-- lake.take
-- Move changes from the feed, one row per root.
WITH deleted AS (
    DELETE FROM {ws}.lake_changes
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM {ws}.lake_changes LIMIT %(most)s))
    RETURNING kind, ref, is_new, at
)
INSERT INTO pg_temp.lake_taken (kind, ref, is_new, at)
SELECT kind, ref, bool_and(is_new), max(at) FROM deleted GROUP BY kind, ref

-- lake.from_feed
-- Table: the changes that are not flushed yet.
{ws}.lake_changes

-- lake.from_taken
-- Table: the changes that a flush took.
pg_temp.lake_taken

-- lake.from_guests
-- Table: the roots of some guests and of the guests merged into them.
(
    WITH merged AS (
        SELECT ref FROM {ws}.guests
        WHERE ref = ANY (%(guests)s::uuid[]) OR survivor_ref = ANY (%(guests)s::uuid[])
    )
    SELECT 'guest' AS kind, ref, NULL::timestamptz AS at, true AS is_new FROM merged
    UNION ALL
    SELECT 'order', order_ref, NULL, true FROM {ws}.order_contacts
    WHERE guest_ref IN (SELECT ref FROM merged)
    UNION ALL
    SELECT 'session', s.ref, NULL, true FROM {ws}.sessions AS s
    WHERE guest_ref IN (SELECT ref FROM merged)
    UNION ALL
    SELECT 'event', e.ref, e.at, true FROM {ws}.events AS e
    WHERE guest_ref IN (SELECT ref FROM merged)
)

-- lake.count_orders
-- Count the orders in a table of roots, up to a limit.
SELECT count(*) AS orders
FROM (SELECT FROM {changes} AS changes WHERE kind = 'order' LIMIT %(most)s) AS counted

-- lake.rows
-- Rows as lines of JSON; the quote is a character that JSON never holds unescaped.
COPY (SELECT row_to_json(line)::text FROM ({of}) AS line) TO STDOUT
(FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')

-- lake.lines
-- Rows of several tables by one statement, as lines of JSON: the name of the table, then its row.
COPY (SELECT NULL::text AS line WHERE false {lines}) TO STDOUT
(FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')

-- lake.changed_roots
-- Roots whose rows in earlier files are outdated.
SELECT kind, ref FROM {changes} AS changes GROUP BY kind, ref HAVING NOT bool_and(is_new)

-- lake.rows_of_guests
-- Guests; the absorbed ones name their survivor.
SELECT ref AS meta_ref, created_at AS meta_created_at, modified_at AS meta_modified_at,
    CASE WHEN survivor_ref IS NULL THEN upper(guest_type) ELSE 'RETIRED' END AS type,
    survivor_ref, first_seen AS core_first_seen_at, last_seen AS core_last_seen_at, body
FROM {ws}.guests
WHERE ref IN (SELECT changes.ref FROM {changes} AS changes WHERE kind = 'guest')

-- lake.rows_of_identifiers
-- The identifiers of guests.
SELECT guests.ref AS guest_ref, one ->> 'provider' AS provider, one ->> 'id' AS id,
    one ->> 'expiryDate' AS expiry_at
FROM {ws}.guests CROSS JOIN jsonb_array_elements(body -> 'identifiers') AS one
WHERE ref IN (SELECT changes.ref FROM {changes} AS changes WHERE kind = 'guest')
  AND jsonb_typeof(body -> 'identifiers') = 'array'

-- lake.rows_of_extensions
-- A row for each pair of guests' data extensions, with its own type.
SELECT guest_ref, name, pair.key, pairs ->> pair.key AS value,
    CASE WHEN jsonb_typeof(pair.value) = 'number' THEN pair.value END AS number,
    CASE WHEN jsonb_typeof(pair.value) = 'boolean' THEN pair.value END AS truth,
    jsonb_typeof(pair.value) AS value_type, modified_at AS meta_modified_at
FROM {ws}.guest_extensions CROSS JOIN jsonb_each(pairs) AS pair
WHERE guest_ref IN (SELECT changes.ref FROM {changes} AS changes WHERE kind = 'guest')

-- lake.rows_of_static_list_members
-- The static lists that guests are on, by friendly id, which never changes.
SELECT m.guest_ref, l.friendly_id AS list_id, m.added_at AS meta_created_at
FROM {ws}.static_list_members AS m JOIN {ws}.static_lists AS l ON l.ref = m.list_ref
WHERE m.guest_ref IN (SELECT changes.ref FROM {changes} AS changes WHERE kind = 'guest')

-- lake.contact
-- Column: the guest an order belongs to, its newest contact, as recorded.
(
    SELECT c.guest_ref FROM {ws}.order_contacts AS c
    WHERE c.order_ref = o.ref ORDER BY c.created_at DESC, c.ref LIMIT 1
) AS guest_ref

-- lake.rows_of_orders
-- Orders.
SELECT o.ref AS meta_ref, o.created_at AS meta_created_at, o.modified_at AS meta_modified_at,
    {contact}, o.reference_id AS core_reference_id, o.ordered_at AS core_ordered_at, o.body
FROM {ws}.orders AS o
WHERE o.ref IN (SELECT changes.ref FROM {changes} AS changes WHERE kind = 'order')

-- lake.rows_of_order_items
-- Items of orders; the order lends its currency and status where an item has none.
SELECT i.ref AS meta_ref, i.created_at AS meta_created_at, i.modified_at AS meta_modified_at,
    i.order_ref, {contact}, i.ordered_at AS core_ordered_at,
    jsonb_build_object('currency_code', o.body -> 'currency_code', 'status', o.body -> 'status')
        || jsonb_strip_nulls(i.body) AS body
FROM {ws}.orders AS o JOIN {ws}.order_items AS i ON i.order_ref = o.ref
WHERE o.ref IN (SELECT changes.ref FROM {changes} AS changes WHERE kind = 'order')

-- lake.rows_of_order_extensions
-- A row for each pair of the data extensions of orders and of items.
SELECT extensions.order_ref, extensions.order_item_ref, extensions.name, pair.key,
    extensions.pairs ->> pair.key AS value,
    CASE WHEN jsonb_typeof(pair.value) = 'number' THEN pair.value END AS number,
    CASE WHEN jsonb_typeof(pair.value) = 'boolean' THEN pair.value END AS truth,
    jsonb_typeof(pair.value) AS value_type
FROM (
    SELECT order_ref, NULL::uuid AS order_item_ref, name, pairs FROM {ws}.order_extensions
    WHERE order_ref IN (SELECT changes.ref FROM {changes} AS changes WHERE kind = 'order')
    UNION ALL
    SELECT i.order_ref, i.ref, e.name, e.pairs
    FROM {ws}.order_items AS i JOIN {ws}.order_item_extensions AS e ON e.order_item_ref = i.ref
    WHERE i.order_ref IN (SELECT changes.ref FROM {changes} AS changes WHERE kind = 'order')
) AS extensions CROSS JOIN jsonb_each(extensions.pairs) AS pair

-- lake.rows_of_sessions
-- Sessions, open or over.
SELECT ref AS meta_ref, created_at AS meta_created_at, modified_at AS meta_modified_at,
    guest_ref, browser_ref, channel AS type,
    CASE WHEN closed_at IS NULL THEN 'OPEN' ELSE 'CLOSED' END AS core_status,
    cart_type AS core_cart_type, channel AS core_channel, started_at AS core_started_at,
    last_at AS core_ended_at, floor(extract(epoch FROM last_at - started_at)) AS core_duration,
    revenue AS core_abandoned_revenue, jsonb_build_object(
        'point_of_sale', details -> 'point_of_sale', 'currency_code', details -> 'currency',
        'language', details -> 'language', 'referer', details -> 'referrer',
        'operating_system', details -> 'operating_system', 'user_agent', details -> 'user_agent',
        'first_page_uri', details -> 'first_page', 'last_page_uri', details -> 'last_page',
        'utm_attributes', details -> 'utm', 'custom_data', details -> 'custom'
    ) AS body
FROM {ws}.sessions
WHERE ref IN (SELECT changes.ref FROM {changes} AS changes WHERE kind = 'session')

-- lake.rows_of_events
-- Events.
SELECT e.ref AS meta_ref, e.at AS meta_created_at, e.received_at AS meta_modified_at,
    e.guest_ref, e.session_ref, e.browser_ref, e.type, e.channel AS core_channel,
    e.point_of_sale AS core_point_of_sale, jsonb_build_object(
        'currency_code', e.body -> 'currency', 'language', e.body -> 'language',
        'page', e.body -> 'page'
    ) AS body, e.body -> 'data' AS custom
FROM (SELECT DISTINCT ref, at FROM {changes} AS changes WHERE kind = 'event') AS changed
JOIN {ws}.events AS e ON e.ref = changed.ref AND e.at = changed.at

-- lake.survivors
-- The merged guests, each with its survivor.
SELECT ref, survivor_ref FROM {ws}.guests WHERE survivor_ref IS NOT NULL

-- lake.add_file
-- A file that is part of the lake from now on.
INSERT INTO {ws}.lake_files (path, name, kind, sequence, rows, bytes)
VALUES (%(path)s, %(name)s, %(kind)s, %(sequence)s, %(rows)s, %(bytes)s)

-- lake.flushed
-- Record a flush; returns its number.
UPDATE {ws}.lake_state SET sequence = sequence + 1, flushed_at = now() RETURNING sequence, folder

-- lake.drop_files
-- Move files from the lake to the list of files to delete later.
WITH deleted AS (
    DELETE FROM {ws}.lake_files WHERE path = ANY (%(paths)s) RETURNING path
)
INSERT INTO {ws}.lake_unused_files (path, generation)
SELECT path, %(generation)s FROM deleted

-- lake.compacted
-- Record a compaction; returns the generation that it ended.
UPDATE {ws}.lake_state SET generation = generation + 1, compacted_at = now()
RETURNING generation - 1 AS generation, folder

-- lake.dropped
-- Dropped files whose grace period has passed.
SELECT path, generation FROM {ws}.lake_unused_files
WHERE dropped_at <= now() - %(grace)s::interval ORDER BY generation, path

-- lake.forget_dropped
-- Remove files that are deleted from storage from the list.
DELETE FROM {ws}.lake_unused_files WHERE path = ANY (%(paths)s)

-- lake.refill
-- Drop all files and put every record into the feed.
WITH deleted AS (
    DELETE FROM {ws}.lake_files RETURNING path
), dropped AS (
    INSERT INTO {ws}.lake_unused_files (path, generation)
    SELECT path, (SELECT generation FROM {ws}.lake_state) FROM deleted
), emptied AS (
    DELETE FROM {ws}.lake_changes
)
INSERT INTO {ws}.lake_changes (kind, ref, is_new, at)
SELECT 'guest', ref, true, NULL::timestamptz FROM {ws}.guests
UNION ALL SELECT 'order', ref, true, NULL FROM {ws}.orders
UNION ALL SELECT 'session', ref, true, NULL FROM {ws}.sessions
UNION ALL SELECT 'event', ref, true, at FROM {ws}.events
