-- import_changes.record_chunk
-- Record the guests and orders that a chunk of an import created.
INSERT INTO {ws}.import_chunks AS chunk (batch_ref, written_at, guests, orders)
VALUES (%(batch)s, %(written_at)s, %(guests)s::uuid[], %(orders)s::uuid[])
ON CONFLICT (batch_ref, written_at) DO UPDATE
SET guests = chunk.guests || excluded.guests, orders = chunk.orders || excluded.orders

-- import_changes.record_guests
-- Record guests that an import is about to change.
INSERT INTO {ws}.import_rows (batch_ref, table_name, ref, guest_ref, written_at, previous)
SELECT %(batch)s, 'guests', ref, ref, %(written_at)s, to_jsonb(g)
FROM {ws}.guests AS g WHERE ref = ANY (%(refs)s::uuid[])

-- import_changes.record_parts
-- Record rows of orders that an import is about to change or create.
INSERT INTO {ws}.import_rows
    (batch_ref, table_name, ref, order_ref, guest_ref, written_at, previous)
SELECT %(batch)s, %(table_name)s, n.ref, n.order_ref, n.guest_ref, %(written_at)s, to_jsonb(t)
FROM unnest(%(refs)s::uuid[], %(orders)s::uuid[], %(guests)s::uuid[])
    AS n (ref, order_ref, guest_ref)
LEFT JOIN {table} AS t ON t.ref = n.ref

-- import_changes.record_extensions
-- Record data extensions that an import is about to write, each with the guest or order it belongs to.
INSERT INTO {ws}.import_rows (batch_ref, table_name, ref, {owner}, written_at, previous)
SELECT %(batch)s, %(table_name)s, coalesce(e.ref, n.ref), n.owner, %(written_at)s, to_jsonb(e)
FROM unnest(
    %(parents)s::uuid[], %(names)s::text[], %(keys)s::text[], %(refs)s::uuid[], %(owners)s::uuid[]
) AS n (parent, name, key, ref, owner)
LEFT JOIN {table} AS e ON (e.{column}, e.name, e.key) = (n.parent, n.name, n.key)

-- import_changes.orders
-- Part of `import_changes.record_parts`: orders.
{ws}.orders

-- import_changes.record_browsers
-- Record the defaults of browsers that events of an import are about to change, once per import.
INSERT INTO {ws}.import_rows (batch_ref, table_name, ref, guest_ref, written_at, key, previous, digest)
SELECT %(batch)s, 'browsers', ref, guest_ref, now(), jsonb_build_object('ref', ref),
    jsonb_build_object('channel', channel, 'point_of_sale', point_of_sale),
    {ws}.import_digest('browsers', to_jsonb(b))
FROM {ws}.browsers AS b WHERE ref = ANY (%(browsers)s::uuid[]) AND NOT EXISTS (
    SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = %(batch)s AND r.guest_ref = b.guest_ref
      AND r.table_name = 'browsers' AND r.ref = b.ref
)

-- import_changes.erase
-- Delete the recorded changes of erased guests and orders.
DELETE FROM {ws}.import_rows
WHERE guest_ref = ANY (%(guests)s::uuid[]) OR order_ref = ANY (%(orders)s::uuid[])

-- import_changes.erase_refs
-- Remove erased guests and orders from the recorded creations of imports.
UPDATE {ws}.import_chunks
SET guests = ARRAY(SELECT unnest(guests) EXCEPT SELECT unnest(%(guests)s::uuid[])),
    orders = ARRAY(SELECT unnest(orders) EXCEPT SELECT unnest(%(orders)s::uuid[]))
WHERE guests && %(guests)s::uuid[] OR orders && %(orders)s::uuid[]

-- import_changes.access
-- The rows of guests as they were before an import changed them, and the imports that created guests.
SELECT batch_ref, table_name, ref, written_at, previous FROM {ws}.import_rows
WHERE guest_ref = ANY (%(guests)s::uuid[])
UNION ALL
SELECT batch_ref, 'guests', ref, written_at, NULL
FROM {ws}.import_chunks CROSS JOIN LATERAL unnest(guests) AS ref
WHERE guests && %(guests)s::uuid[] AND ref = ANY (%(guests)s::uuid[])
ORDER BY written_at, table_name

-- import_changes.expire
-- Delete recorded changes of imports that are too old to be undone.
WITH expired AS (
    SELECT ref FROM {ws}.batches
    WHERE created_at < %(before)s AND finished_at IS NOT NULL AND undo IS NOT NULL
      AND coalesce(undo ->> 'state', '') NOT IN ('waiting', 'checking', 'undoing')
), chunks AS (
    DELETE FROM {ws}.import_chunks WHERE batch_ref IN (SELECT ref FROM expired)
)
DELETE FROM {ws}.import_rows WHERE batch_ref IN (SELECT ref FROM expired)

-- import_changes.start_rows
-- Until the transaction ends, triggers record what it writes for the undo of an import. The last row that is
-- recorded of it.
SELECT set_config('innkeeper.import', %(batch)s::uuid::text, true), coalesce((
    SELECT max(sequence) FROM {ws}.import_rows WHERE batch_ref = %(batch)s
), 0) AS last

-- import_changes.set_rows
-- Let triggers record what the transaction writes from now on, or with an empty ref not.
SELECT set_config('innkeeper.import', %(batch)s, true)

-- import_changes.group_rows
-- Order what a transaction recorded by the guest, merged group or order that it belongs to: each is undone by
-- itself. Guests come before the orders that refer to them.
WITH moved AS (
    DELETE FROM {ws}.import_rows WHERE batch_ref = %(batch)s AND sequence > %(last)s RETURNING *
), owned AS (
    SELECT m.*, coalesce(m.order_ref, c.order_ref) AS of_order,
        coalesce(m.order_ref, c.order_ref, g.survivor_ref, m.guest_ref) AS root
    FROM moved AS m LEFT JOIN {ws}.guests AS g ON g.ref = m.guest_ref
    LEFT JOIN {ws}.order_consumers AS c ON m.table_name = 'order_consumer_items'
        AND c.ref = (m.key ->> 'order_consumer_ref')::uuid
)
INSERT INTO {ws}.import_rows (batch_ref, unit, table_name, ref, guest_ref, order_ref, written_at, key,
    previous, digest)
SELECT batch_ref, -min(sequence) OVER (PARTITION BY root), table_name, ref, guest_ref, order_ref,
    written_at, key, previous, digest
FROM owned ORDER BY of_order IS NOT NULL, root, sequence
