-- import_undo.set
-- Store the undo of an import.
UPDATE {ws}.batches SET undo = %(undo)s, modified_at = %(now)s, file_options = file_options - 'interrupted'
WHERE ref = %(ref)s

-- import_undo.is_recorded
-- Whether an import has changes to undo.
SELECT true AS is_recorded FROM (
    SELECT FROM {ws}.import_chunks WHERE batch_ref = %(batch)s
    UNION ALL
    SELECT FROM {ws}.import_rows WHERE batch_ref = %(batch)s
) AS recorded LIMIT 1

-- import_undo.pending
-- Imports whose undo was requested and has not ended.
SELECT ref FROM {ws}.batches WHERE undo ->> 'state' IN ('waiting', 'checking', 'undoing')

-- import_undo.times
-- Part: when the import wrote.
SELECT written_at FROM {ws}.import_chunks WHERE batch_ref = %(batch)s

-- import_undo.created_orders
-- The orders that the chunk of an import before a time created.
SELECT written_at, orders AS refs FROM {ws}.import_chunks
WHERE batch_ref = %(batch)s AND orders <> '{}' AND written_at < %(before)s
ORDER BY written_at DESC LIMIT 1

-- import_undo.created_guests
-- The guests that the chunk of an import before a time created.
SELECT written_at, guests AS refs FROM {ws}.import_chunks
WHERE batch_ref = %(batch)s AND guests <> '{}' AND written_at < %(before)s
ORDER BY written_at DESC LIMIT 1

-- import_undo.changed_orders
-- Orders after a ref that the import changed, and which of them it created.
SELECT o.ref, o.ref AS last, is_created FROM (
    SELECT DISTINCT order_ref FROM {ws}.import_rows
    WHERE batch_ref = %(batch)s AND order_ref > %(after)s ORDER BY order_ref LIMIT %(most)s
) AS changed JOIN {ws}.orders AS o ON o.ref = order_ref
CROSS JOIN LATERAL (
    SELECT coalesce((
        SELECT o.ref = ANY (orders) FROM {ws}.import_chunks
        WHERE batch_ref = %(batch)s AND written_at <= o.created_at
        ORDER BY written_at DESC LIMIT 1
    ), false) AS is_created
) AS origin
ORDER BY o.ref

-- import_undo.changed_guests
-- Guests after a ref that the import changed, with the others of their merged groups that it changed,
-- and which of them it created.
WITH changed AS (
    SELECT DISTINCT guest_ref FROM {ws}.import_rows
    WHERE batch_ref = %(batch)s AND order_ref IS NULL AND guest_ref > %(after)s
    ORDER BY guest_ref LIMIT %(most)s
), root AS (
    SELECT DISTINCT coalesce(survivor_ref, ref) AS ref FROM {ws}.guests
    WHERE ref IN (SELECT guest_ref FROM changed)
), member AS (
    SELECT g.ref, g.created_at FROM {ws}.guests AS g
    WHERE g.ref IN (SELECT guest_ref FROM changed) OR (
        (g.ref IN (SELECT ref FROM root) OR g.survivor_ref IN (SELECT ref FROM root))
        AND EXISTS (
            SELECT FROM {ws}.import_rows AS r
            WHERE r.batch_ref = %(batch)s AND r.guest_ref = g.ref AND r.order_ref IS NULL
        )
    )
)
SELECT ref, (SELECT guest_ref FROM changed ORDER BY guest_ref DESC LIMIT 1) AS last, is_created
FROM member
CROSS JOIN LATERAL (
    SELECT coalesce((
        SELECT ref = ANY (guests) FROM {ws}.import_chunks
        WHERE batch_ref = %(batch)s AND written_at <= created_at
        ORDER BY written_at DESC LIMIT 1
    ), false) AS is_created
) AS origin
ORDER BY ref

-- import_undo.lock_orders
-- Lock orders, in ref order: nothing can be added to them until the transaction ends.
SELECT ref FROM {ws}.orders WHERE ref = ANY (%(refs)s::uuid[]) ORDER BY ref FOR UPDATE

-- import_undo.lock_guests
-- Lock guests, the live ones first: nothing can be added to them until the transaction ends.
SELECT ref FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[])
ORDER BY survivor_ref IS NOT NULL, ref FOR UPDATE

-- import_undo.previous
-- Part: the rows of orders or guests as they were before the import first wrote them.
SELECT DISTINCT ON (table_name, ref) table_name, ref, coalesce(order_ref, guest_ref) AS root,
    guest_ref, order_ref, written_at, previous
FROM {ws}.import_rows
WHERE batch_ref = %(batch)s AND {of_roots}
ORDER BY table_name, ref, sequence

-- import_undo.of_orders
-- Filter: rows of orders.
order_ref = ANY (%(roots)s::uuid[])

-- import_undo.of_guests
-- Filter: rows of guests.
guest_ref = ANY (%(roots)s::uuid[]) AND order_ref IS NULL

-- import_undo.rows_of_orders
-- Part: every row of orders.
SELECT 'orders' AS table_name, ref, ref AS root, modified_at FROM {ws}.orders
WHERE ref = ANY (%(roots)s::uuid[])
UNION ALL
SELECT 'order_extensions', ref, order_ref, modified_at FROM {ws}.order_extensions
WHERE order_ref = ANY (%(roots)s::uuid[])
UNION ALL
SELECT 'order_item_extensions', e.ref, i.order_ref, e.modified_at
FROM {ws}.order_items AS i JOIN {ws}.order_item_extensions AS e ON e.order_item_ref = i.ref
WHERE i.order_ref = ANY (%(roots)s::uuid[])
{children}

-- import_undo.rows_of_guests
-- Part: every row of guests.
SELECT 'guests' AS table_name, ref, ref AS root, modified_at FROM {ws}.guests
WHERE ref = ANY (%(roots)s::uuid[])
UNION ALL
SELECT 'guest_extensions', ref, guest_ref, modified_at FROM {ws}.guest_extensions
WHERE guest_ref = ANY (%(roots)s::uuid[])

-- import_undo.blocked
-- Orders or guests, created or changed by an import, that something later depends on, with the reason.
WITH times AS MATERIALIZED ({import_undo.times}), written AS MATERIALIZED (
    SELECT table_name, ref, written_at FROM {ws}.import_rows
    WHERE batch_ref = %(batch)s AND {of_roots}
), current AS MATERIALIZED ({rows}), previous AS (
    {import_undo.previous}
)
SELECT root AS ref, 'changed later' AS reason FROM current
WHERE %(created_at)s::timestamptz IS NOT NULL AND modified_at <> %(created_at)s
  AND (table_name, ref, modified_at) NOT IN (SELECT * FROM written)
  AND NOT (ref = root AND modified_at = (
      SELECT created_at FROM {roots} AS own WHERE own.ref = root
  ))
UNION
SELECT p.root, 'changed later' FROM previous AS p LEFT JOIN current AS c USING (table_name, ref)
WHERE NOT %(created)s AND (
    c.ref IS NULL AND p.previous IS NOT NULL
    OR (table_name, ref, c.modified_at) NOT IN (SELECT * FROM written)
    AND c.modified_at IS DISTINCT FROM (p.previous ->> 'modified_at')::timestamptz
)
{more}

-- import_undo.used_items
-- Part of `import_undo.blocked`: items that the import added to orders, and that have later data
-- extensions or consumers.
UNION
SELECT p.root, 'items used later' FROM previous AS p
WHERE p.table_name = 'order_items' AND p.previous IS NULL AND (
    EXISTS (
        SELECT FROM {ws}.order_item_extensions AS e WHERE e.order_item_ref = p.ref
          AND e.modified_at NOT IN (SELECT written_at FROM times)
    ) OR EXISTS (
        SELECT FROM {ws}.order_consumer_items AS u JOIN {ws}.order_consumers AS c
            ON c.ref = u.order_consumer_ref
        WHERE u.order_item_ref = p.ref AND c.modified_at NOT IN (SELECT written_at FROM times)
    )
)

-- import_undo.waiting_events
-- Part of `import_undo.blocked`: orders of events in quarantine.
UNION
SELECT order_ref, 'events in quarantine' FROM {ws}.quarantine
WHERE order_ref = ANY (%(roots)s::uuid[]) AND %(created)s

-- import_undo.used_guests
-- Part of `import_undo.blocked`: guests that were merged, or matched by later records, or have orders
-- or events. Before the undo starts, orders of the import itself do not count.
UNION
SELECT root, 'merged later' FROM current JOIN {ws}.merges AS m
    ON m.survivor_ref = root OR m.absorbed_ref = root
WHERE table_name = 'guests' AND (%(created)s OR greatest(m.merged_at, m.undone_at) >= (
    SELECT min(written_at) FROM previous AS p WHERE p.root = current.root
))
UNION
SELECT j.guest_ref, 'changed later' FROM {ws}.guest_journal AS j
WHERE j.guest_ref = ANY (%(roots)s::uuid[])
  AND (j.intent ->> 'at')::timestamptz NOT IN (SELECT written_at FROM times)
  AND j.sequence > (
      SELECT min(own.sequence) FROM {ws}.guest_journal AS own
      WHERE own.guest_ref = j.guest_ref
        AND (own.intent ->> 'at')::timestamptz IN (SELECT written_at FROM times)
  )
UNION
SELECT j.guest_ref, 'matched later' FROM {ws}.guest_joins AS j
WHERE j.guest_ref = ANY (%(roots)s::uuid[])
  AND j.joined_at NOT IN (SELECT written_at FROM times)
  AND (%(created)s OR j.joined_at >= (
      SELECT min(written_at) FROM previous AS p WHERE p.root = j.guest_ref
  ))
UNION
SELECT guest_ref, 'orders' FROM {ws}.order_contacts
WHERE guest_ref = ANY (%(roots)s::uuid[]) AND %(created)s
  AND (%(strict)s OR modified_at NOT IN (SELECT written_at FROM times))
UNION
SELECT guest_ref, 'orders' FROM {ws}.order_consumers
WHERE guest_ref = ANY (%(roots)s::uuid[]) AND %(created)s
  AND (%(strict)s OR modified_at NOT IN (SELECT written_at FROM times))
UNION
SELECT guest_ref, 'events' FROM {ws}.browsers
WHERE guest_ref = ANY (%(roots)s::uuid[]) AND %(created)s
UNION
SELECT guest_ref, 'events' FROM {ws}.sessions
WHERE guest_ref = ANY (%(roots)s::uuid[]) AND %(created)s
UNION
SELECT guest_ref, 'events in quarantine' FROM {ws}.quarantine
WHERE guest_ref = ANY (%(roots)s::uuid[]) AND %(created)s

-- import_undo.lists_of_guests
-- The static lists that guests are on, with the number of these guests.
SELECT l.name, count(*) AS guests
FROM {ws}.static_list_members AS m JOIN {ws}.static_lists AS l ON l.ref = m.list_ref
WHERE m.guest_ref = ANY (%(roots)s::uuid[]) GROUP BY l.ref ORDER BY l.name, l.ref

-- import_undo.lists_of_event_guests
-- The static lists that guests are on that an import of events created after a position, and that nothing
-- blocks, with the number of these guests.
WITH added AS MATERIALIZED (
    SELECT r.ref, l.name, l.ref AS list_ref
    FROM {ws}.import_rows AS r JOIN {ws}.static_list_members AS m ON m.guest_ref = r.ref
    JOIN {ws}.static_lists AS l ON l.ref = m.list_ref
    WHERE r.batch_ref = %(batch)s AND r.table_name = 'guests' AND r.previous IS NULL
      AND r.sequence > %(after)s
)
SELECT name, count(DISTINCT ref) AS guests FROM added
WHERE ref NOT IN (
    SELECT blocked_guest FROM {ws}.check_import_rows(%(batch)s, %(after)s)
    WHERE blocked_guest IS NOT NULL AND EXISTS (SELECT FROM added)
)
GROUP BY list_ref, name ORDER BY name, list_ref

-- import_undo.groups
-- Guests with the live guests of their merged groups.
SELECT ref, coalesce(survivor_ref, ref) AS root FROM {ws}.guests
WHERE ref = ANY (%(refs)s::uuid[])

-- import_undo.count_created
-- Rows that go with orders or guests, by table.
SELECT table_name, count(*) AS removed, 0 AS restored FROM ({rows}) AS current GROUP BY table_name

-- import_undo.count_changed
-- Rows of orders or guests that are removed or restored, by table.
WITH previous AS (
    {import_undo.previous}
)
SELECT table_name, count(*) FILTER (WHERE previous IS NULL AND current.ref IS NOT NULL) AS removed,
    count(*) FILTER (WHERE previous IS NOT NULL) AS restored
FROM previous LEFT JOIN ({rows}) AS current USING (table_name, ref) GROUP BY table_name

-- import_undo.delete_joins_of_orders
-- Delete the reasons for which people of created orders were attached to guests.
DELETE FROM {ws}.guest_joins WHERE source_ref = ANY (%(roots)s::uuid[]) AND guest_ref IN (
    SELECT guest_ref FROM {ws}.order_contacts WHERE order_ref = ANY (%(roots)s::uuid[])
    UNION ALL
    SELECT guest_ref FROM {ws}.order_consumers WHERE order_ref = ANY (%(roots)s::uuid[])
)

-- import_undo.delete_guarded
-- Delete the values of an import's records that guards blocked.
DELETE FROM {ws}.guarded_evidence WHERE guests && %(guests)s::uuid[]
  AND guarded_at IN (SELECT written_at FROM {ws}.import_chunks WHERE batch_ref = %(batch)s)

-- import_undo.guests_of_orders
-- The guests that people of orders are attached to.
SELECT guest_ref AS ref FROM {ws}.order_contacts WHERE order_ref = ANY (%(roots)s::uuid[])
UNION
SELECT guest_ref FROM {ws}.order_consumers WHERE order_ref = ANY (%(roots)s::uuid[])

-- import_undo.delete_orders
-- Delete locked orders with all their parts.
DELETE FROM {ws}.orders WHERE ref = ANY (%(roots)s::uuid[])

-- import_undo.delete_guests
-- Delete locked guests with their keys, data extensions and joins.
DELETE FROM {ws}.guests WHERE ref = ANY (%(roots)s::uuid[])

-- import_undo.delete_joins_of_parts
-- Delete the reasons for which the import attached people of existing orders to guests.
DELETE FROM {ws}.guest_joins AS j USING {ws}.import_rows AS r
WHERE r.batch_ref = %(batch)s AND r.order_ref = ANY (%(roots)s::uuid[])
  AND r.table_name IN ('order_contacts', 'order_consumers')
  AND j.guest_ref = r.guest_ref AND j.source_ref = r.order_ref AND j.joined_at = r.written_at

-- import_undo.restore_orders
-- Restore the fields of locked orders.
UPDATE {ws}.orders AS o SET body = p.previous -> 'body',
    modified_at = (p.previous ->> 'modified_at')::timestamptz
FROM ({import_undo.previous}) AS p
WHERE p.table_name = 'orders' AND p.previous IS NOT NULL AND o.ref = p.ref

-- import_undo.restore_items
-- Restore the fields of items of locked orders.
UPDATE {ws}.order_items AS i SET body = p.previous -> 'body',
    ordered_at = (p.previous ->> 'ordered_at')::timestamptz,
    import_ref = (p.previous ->> 'import_ref')::uuid,
    modified_at = (p.previous ->> 'modified_at')::timestamptz
FROM ({import_undo.previous}) AS p
WHERE p.table_name = 'order_items' AND p.previous IS NOT NULL AND i.ref = p.ref

-- import_undo.restore_contacts
-- Restore the fields of contacts of locked orders.
UPDATE {ws}.order_contacts AS c SET body = p.previous -> 'body',
    modified_at = (p.previous ->> 'modified_at')::timestamptz
FROM ({import_undo.previous}) AS p
WHERE p.table_name = 'order_contacts' AND p.previous IS NOT NULL AND c.ref = p.ref

-- import_undo.restore_extensions
-- Restore data extensions of locked guests, orders or items of locked orders.
UPDATE {table} AS e SET pairs = p.previous -> 'pairs',
    single = (p.previous ->> 'single')::boolean,
    modified_at = (p.previous ->> 'modified_at')::timestamptz
FROM ({import_undo.previous}) AS p
WHERE p.table_name = %(table_name)s AND p.previous IS NOT NULL
  AND e.{column} = (p.previous ->> '{column}')::uuid AND e.ref = p.ref

-- import_undo.delete_parts
-- Delete rows of a table that the import added to locked orders.
DELETE FROM {table} AS t USING ({import_undo.previous}) AS p
WHERE p.table_name = %(table_name)s AND p.previous IS NULL AND t.ref = p.ref

-- import_undo.delete_extensions
-- Delete data extensions that the import added to locked guests or orders.
DELETE FROM {table} AS e USING ({import_undo.previous}) AS p
WHERE p.table_name = %(table_name)s AND p.previous IS NULL
  AND e.{column} = p.{column} AND e.ref = p.ref

-- import_undo.delete_item_extensions
-- Delete data extensions that the import added to items of locked orders.
DELETE FROM {ws}.order_item_extensions AS e USING ({import_undo.previous}) AS p, {ws}.order_items AS i
WHERE p.table_name = 'order_item_extensions' AND p.previous IS NULL
  AND i.order_ref = p.order_ref AND e.order_item_ref = i.ref AND e.ref = p.ref

-- import_undo.previous_guests
-- Locked guests as they were before the import, as rows of guests.
SELECT (jsonb_populate_record(NULL::{ws}.guests, p.previous)).*
FROM ({import_undo.previous}) AS p WHERE p.table_name = 'guests'

-- import_undo.restore_guests
-- Restore locked guests with their keys, and delete the import's entries in their journals.
WITH element AS (
    SELECT * FROM jsonb_to_recordset(%(keys)s) AS element (ref uuid, keys uuid[])
), previous AS (
    {import_undo.previous}
), deleted_keys AS (
    DELETE FROM {ws}.guest_keys AS k USING element AS e
    WHERE k.guest_ref = e.ref AND NOT k.key = ANY (e.keys)
), inserted_keys AS (
    INSERT INTO {ws}.guest_keys (key, guest_ref) SELECT unnest(keys), ref FROM element
    ON CONFLICT DO NOTHING
), deleted_journal AS (
    DELETE FROM {ws}.guest_journal WHERE guest_ref IN (SELECT ref FROM element)
      AND (intent ->> 'at')::timestamptz IN ({import_undo.times})
)
UPDATE {ws}.guests AS g SET guest_type = o.guest_type, body = o.body, first_seen = o.first_seen,
    last_seen = greatest(o.last_seen, seen.at), modified_at = o.modified_at, unmerged = o.unmerged
FROM previous AS p CROSS JOIN LATERAL jsonb_populate_record(NULL::{ws}.guests, p.previous) AS o
LEFT JOIN LATERAL (
    SELECT max(started_at) AS at FROM {ws}.sessions AS s
    WHERE s.guest_ref = p.ref AND s.created_at > p.written_at
) AS seen ON true
WHERE p.table_name = 'guests' AND g.ref = p.ref

-- import_undo.delete_joins_of_guests
-- Delete the reasons for which records of the import joined guests.
DELETE FROM {ws}.guest_joins
WHERE guest_ref = ANY (%(roots)s::uuid[]) AND source_ref = %(batch)s

-- import_undo.forget_rows
-- Delete the recorded changes of orders or guests, since they are undone.
DELETE FROM {ws}.import_rows WHERE batch_ref = %(batch)s AND {of_roots}

-- import_undo.forget_created
-- Delete the recorded creations of the import of which no row is left.
DELETE FROM {ws}.import_chunks AS chunk WHERE batch_ref = %(batch)s AND NOT EXISTS (
    SELECT FROM {ws}.guests WHERE ref = ANY (chunk.guests)
) AND NOT EXISTS (
    SELECT FROM {ws}.orders WHERE ref = ANY (chunk.orders)
) AND NOT EXISTS (
    SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = %(batch)s
)

-- import_undo.guests_table
-- Part of `import_undo.blocked`: guests.
{ws}.guests

-- import_undo.check_rows
-- Preview the undo of an import of events by the rows after a position: the rows by table, and the guests
-- and orders that cannot be undone by reason, with the first ten.
WITH checked AS MATERIALIZED (
    SELECT * FROM {ws}.check_import_rows(%(batch)s, %(after)s)
)
SELECT of_table AS table_name, removed, restored, NULL AS reason, '{}'::text[] AS examples
FROM checked WHERE reason IS NULL
UNION ALL
SELECT NULL, count(*), 0, reason, (array_agg(of || ref ORDER BY ref))[:10]
FROM (
    SELECT DISTINCT reason, CASE WHEN blocked_guest IS NULL THEN 'orders ' ELSE 'guests ' END AS of,
        coalesce(blocked_guest, blocked_order) AS ref
    FROM checked WHERE coalesce(blocked_guest, blocked_order) IS NOT NULL
) AS blocked WHERE reason IS NOT NULL GROUP BY reason

-- import_undo.last_row
-- The last row that an import of events wrote and that is not undone; null if there is none.
SELECT max(sequence) AS sequence FROM {ws}.import_rows WHERE batch_ref = %(batch)s

-- import_undo.undo_rows
-- Undo the last transactions of an import of events before a position.
SELECT of_table AS table_name, row_ref AS ref, removed::integer AS removed,
    restored::integer AS restored, reached
FROM {ws}.undo_import_rows(%(batch)s, %(since)s, %(before)s, %(most)s)

-- import_undo.guests
-- Guests whose fields were restored.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged
FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[]) ORDER BY ref FOR NO KEY UPDATE

-- import_undo.forget_attributes
-- Delete the types of attributes that an undone import of events fixed, unless another event has them.
WITH fixed AS MATERIALIZED (
    DELETE FROM {ws}.import_rows WHERE batch_ref = %(batch)s AND table_name = 'event_attributes'
    RETURNING key ->> 'event_type' AS event_type, key ->> 'name' AS name
), used AS MATERIALIZED (
    SELECT DISTINCT f.event_type, f.name FROM {ws}.events AS e JOIN fixed AS f ON f.event_type = e.type
    WHERE e.body -> 'data' -> 'ext' ? f.name
)
DELETE FROM {ws}.event_attributes AS a USING fixed AS f
WHERE a.event_type = f.event_type AND a.name = f.name
  AND (f.event_type, f.name) NOT IN (SELECT event_type, name FROM used)
