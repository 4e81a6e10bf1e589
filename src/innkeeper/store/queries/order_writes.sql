-- order_writes.lock_references
-- Lock referenceIds until the transaction ends, in order: waits for other records with one of them.
SELECT count(pg_advisory_xact_lock(ordered.lock)) FROM (
    SELECT lock FROM unnest(%(locks)s::bigint[]) AS each (lock) ORDER BY lock OFFSET 0
) AS ordered

-- order_writes.find
-- Lock the orders with these referenceIds until the transaction ends.
SELECT o.ref, o.reference_id, o.ordered_at, o.body, o.created_at, o.modified_at
FROM {ws}.orders AS o
WHERE o.reference_key = ANY (%(keys)s::uuid[]) ORDER BY o.ref FOR NO KEY UPDATE

-- order_writes.items
-- The items of orders.
SELECT ref, order_ref, ordered_at, body, import_ref FROM {ws}.order_items
WHERE order_ref = ANY (%(orders)s::uuid[]) ORDER BY created_at, ref

-- order_writes.people
-- The contacts or consumers of orders, with the guests as stored.
SELECT ref, order_ref, guest_ref, body FROM {table}
WHERE order_ref = ANY (%(orders)s::uuid[]) ORDER BY created_at, ref

-- order_writes.extensions
-- The data extensions of orders.
SELECT order_ref, name, key, pairs FROM {ws}.order_extensions
WHERE order_ref = ANY (%(orders)s::uuid[])

-- order_writes.item_extensions
-- The data extensions of the items of orders.
SELECT e.order_item_ref, e.name, e.key, e.pairs
FROM {ws}.order_items AS i JOIN {ws}.order_item_extensions AS e ON e.order_item_ref = i.ref
WHERE i.order_ref = ANY (%(orders)s::uuid[])

-- order_writes.copy_orders
-- Insert new orders.
COPY {ws}.orders (ref, reference_id, reference_key, ordered_at, body, created_at, modified_at)
FROM STDIN (FORMAT binary)

-- order_writes.copy_items
-- Insert new items.
COPY {ws}.order_items (ref, order_ref, ordered_at, body, import_ref, created_at, modified_at) FROM STDIN (FORMAT binary)

-- order_writes.copy_contacts
-- Insert new contacts.
COPY {ws}.order_contacts (ref, order_ref, guest_ref, body, created_at, modified_at) FROM STDIN (FORMAT binary)

-- order_writes.copy_consumers
-- Insert new consumers.
COPY {ws}.order_consumers (ref, order_ref, guest_ref, body, created_at, modified_at) FROM STDIN (FORMAT binary)

-- order_writes.copy_uses
-- Insert which items new consumers use.
COPY {ws}.order_consumer_items (order_consumer_ref, order_item_ref, position) FROM STDIN (FORMAT binary)

-- order_writes.copy_extensions
-- Insert the data extensions of new orders.
COPY {ws}.order_extensions (order_ref, name, key, ref, pairs, created_at, modified_at) FROM STDIN (FORMAT binary)

-- order_writes.copy_item_extensions
-- Insert the data extensions of new items.
COPY {ws}.order_item_extensions (order_item_ref, name, key, ref, pairs, created_at, modified_at)
FROM STDIN (FORMAT binary)

-- order_writes.rewrite_orders
-- Store new fields of locked orders.
UPDATE {ws}.orders AS o SET body = n.body, modified_at = %(now)s
FROM unnest(%(refs)s::uuid[], %(bodies)s::jsonb[]) AS n (ref, body) WHERE o.ref = n.ref

-- order_writes.rewrite_items
-- Store new fields of items of locked orders.
UPDATE {ws}.order_items AS i SET body = n.body, ordered_at = n.ordered_at, modified_at = %(now)s
FROM unnest(%(refs)s::uuid[], %(bodies)s::jsonb[], %(times)s::timestamptz[])
    AS n (ref, body, ordered_at)
WHERE i.ref = n.ref

-- order_writes.mark_items
-- Mark the items that rows of an import matched or created.
UPDATE {ws}.order_items SET import_ref = %(source)s
WHERE ref = ANY (%(refs)s::uuid[]) AND import_ref IS DISTINCT FROM %(source)s

-- order_writes.rewrite_contacts
-- Store new fields of contacts of locked orders.
UPDATE {ws}.order_contacts AS c SET body = n.body, modified_at = %(now)s
FROM unnest(%(refs)s::uuid[], %(bodies)s::jsonb[]) AS n (ref, body) WHERE c.ref = n.ref

-- order_writes.put_extensions
-- Store data extensions of orders, replacing those with the same name and key.
INSERT INTO {ws}.order_extensions AS e
    (order_ref, name, key, ref, pairs, created_at, modified_at)
SELECT parent, name, key, ref, pairs, %(now)s, %(now)s
FROM unnest(%(parents)s::uuid[], %(names)s::text[], %(keys)s::text[], %(refs)s::uuid[],
    %(pairs)s::jsonb[]) AS n (parent, name, key, ref, pairs)
ON CONFLICT (order_ref, name, key) DO UPDATE
SET pairs = excluded.pairs, single = false, modified_at = excluded.modified_at
WHERE e.pairs <> excluded.pairs

-- order_writes.put_item_extensions
-- Store data extensions of order items, replacing those with the same name and key.
INSERT INTO {ws}.order_item_extensions AS e
    (order_item_ref, name, key, ref, pairs, created_at, modified_at)
SELECT parent, name, key, ref, pairs, %(now)s, %(now)s
FROM unnest(%(parents)s::uuid[], %(names)s::text[], %(keys)s::text[], %(refs)s::uuid[],
    %(pairs)s::jsonb[]) AS n (parent, name, key, ref, pairs)
ON CONFLICT (order_item_ref, name, key) DO UPDATE
SET pairs = excluded.pairs, single = false, modified_at = excluded.modified_at
WHERE e.pairs <> excluded.pairs

-- order_writes.of_reference
-- Lock the orders with a referenceId, for a delete, until the transaction ends.
SELECT ref, ordered_at FROM {ws}.orders
WHERE reference_key = %(key)s AND reference_id = %(reference_id)s
ORDER BY ordered_at, ref FOR UPDATE

-- order_writes.delete
-- Delete an order with its items, contacts, consumers and data extensions.
DELETE FROM {ws}.orders WHERE ref = %(ref)s
