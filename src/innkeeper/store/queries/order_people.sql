-- order_people.contacts
-- Table: the contacts, to whom orders belong.
{ws}.order_contacts

-- order_people.consumers
-- Table: the consumers, who use items of orders.
{ws}.order_consumers

-- order_people.items
-- Column: the items that a consumer uses, in the order they were named.
, ARRAY(
    SELECT order_item_ref FROM {ws}.order_consumer_items
    WHERE order_consumer_ref = p.ref ORDER BY position
) AS order_items

-- order_people.columns
-- The columns that are read of a person: guest_ref is the survivor of the stored guest, or itself.
p.ref, p.order_ref, coalesce(g.survivor_ref, g.ref) AS guest_ref, p.body, p.created_at,
p.modified_at

-- order_people.create
-- Create a person on an order with the items they use; returns the survivor of the stored guest or
-- itself. No row if the order does not exist.
WITH parent AS (
    SELECT ref FROM {ws}.orders WHERE ref = %(order)s FOR KEY SHARE
), used AS (
    INSERT INTO {ws}.order_consumer_items (order_consumer_ref, order_item_ref, position)
    SELECT %(ref)s, item, position
    FROM parent, unnest(%(items)s::uuid[]) WITH ORDINALITY AS named (item, position)
), created AS (
    INSERT INTO {table} (ref, order_ref, guest_ref, body, created_at, modified_at)
    SELECT %(ref)s, ref, %(guest)s, %(body)s, %(now)s, %(now)s FROM parent
) {join}
SELECT coalesce(survivor_ref, guests.ref) AS guest_ref
FROM {ws}.guests, parent WHERE guests.ref = %(guest)s

-- order_people.insert_join
-- Part of `order_people.create`: store that the record joined the guest, with the reason.
, inserted_join AS (
    INSERT INTO {ws}.guest_joins (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
    SELECT %(guest)s, %(rule)s, %(evidence)s, %(source)s, ref, %(actor)s, %(now)s FROM parent
)

-- order_people.fetch
-- One person by ref.
SELECT {columns} FROM {table} AS p JOIN {ws}.guests AS g ON g.ref = p.guest_ref
WHERE p.ref = %(ref)s

-- order_people.lock
-- Lock one person by ref until the transaction ends; recorded_ref is the guest as stored.
SELECT {columns}, p.guest_ref AS recorded_ref
FROM {table} AS p JOIN {ws}.guests AS g ON g.ref = p.guest_ref
WHERE p.ref = %(ref)s FOR NO KEY UPDATE OF p

-- order_people.rewrite
-- Store new fields and guest of a locked person; returns the survivor of that guest, or itself.
WITH rewritten AS (
    UPDATE {table} SET guest_ref = %(guest)s, body = %(body)s, modified_at = %(now)s
    WHERE ref = %(ref)s
)
SELECT coalesce(survivor_ref, ref) AS guest_ref FROM {ws}.guests WHERE ref = %(guest)s

-- order_people.delete_items
-- Delete the item links of a locked consumer.
DELETE FROM {ws}.order_consumer_items WHERE order_consumer_ref = %(ref)s

-- order_people.use_items
-- Insert the item links of a locked consumer.
INSERT INTO {ws}.order_consumer_items (order_consumer_ref, order_item_ref, position)
SELECT %(ref)s, item, position
FROM unnest(%(items)s::uuid[]) WITH ORDINALITY AS named (item, position)

-- order_people.items_of_order
-- Lock those of the items that belong to an order against deletion.
SELECT ref FROM {ws}.order_items
WHERE ref = ANY (%(items)s::uuid[]) AND order_ref = %(order)s FOR KEY SHARE

-- order_people.delete
-- Delete a person from an order.
DELETE FROM {table} WHERE ref = %(ref)s

-- order_people.list
-- A page of an order's people, oldest first, each row with the total.
SELECT {columns}, ({total}) AS total
FROM {table} AS p JOIN {ws}.guests AS g ON g.ref = p.guest_ref
WHERE p.order_ref = %(order)s
ORDER BY p.created_at, p.ref LIMIT %(limit)s OFFSET %(offset)s

-- order_people.count
-- The number of an order's people of this kind.
SELECT count(*) AS total FROM {table} AS p WHERE p.order_ref = %(order)s

-- order_people.of_many
-- Every person of this kind on several orders, oldest first.
SELECT {columns} FROM {table} AS p JOIN {ws}.guests AS g ON g.ref = p.guest_ref
WHERE p.order_ref = ANY (%(parents)s::uuid[])
ORDER BY p.created_at, p.ref

-- order_people.contacts_of
-- An order's contacts with the guests as stored: a consumer may match one of them (ID-7).
SELECT body, guest_ref FROM {ws}.order_contacts WHERE order_ref = %(order)s ORDER BY created_at DESC, ref

-- order_people.is_contact
-- Whether a guest is stored as a contact of an order (N-21). A guest merged into it does not count:
-- the link must remain when that merge is undone.
SELECT true AS is_contact FROM {ws}.order_contacts
WHERE order_ref = %(order)s AND guest_ref = %(guest)s LIMIT 1

-- order_people.exists
-- Whether a person exists.
SELECT true AS is_stored FROM {table} AS p WHERE p.ref = %(ref)s
