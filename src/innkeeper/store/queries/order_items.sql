-- order_items.create
-- Create an item, with the columns it takes from its order; no row if the order does not exist.
WITH parent AS (
    SELECT ref, ordered_at, body ->> 'status' AS order_status,
        body ->> 'currency_code' AS order_currency_code
    FROM {ws}.orders WHERE ref = %(order)s {filters} FOR KEY SHARE
), created AS (
    INSERT INTO {ws}.order_items (ref, order_ref, ordered_at, body, created_at, modified_at)
    SELECT %(ref)s, ref, coalesce(%(ordered_at)s::timestamptz, ordered_at), %(body)s,
        %(now)s, %(now)s
    FROM parent
    RETURNING ref, order_ref, ordered_at, body, created_at, modified_at
)
SELECT created.*, order_status, order_currency_code FROM created CROSS JOIN parent

-- order_items.fetch
-- One item by ref, with the columns it takes from its order.
SELECT {columns} FROM {ws}.order_items AS i JOIN {ws}.orders AS o ON o.ref = i.order_ref
WHERE i.ref = %(ref)s

-- order_items.lock
-- Lock one item by ref until the transaction ends.
SELECT {columns}, o.ordered_at AS order_ordered_at
FROM {ws}.order_items AS i JOIN {ws}.orders AS o ON o.ref = i.order_ref
WHERE i.ref = %(ref)s FOR NO KEY UPDATE OF i FOR KEY SHARE OF o

-- order_items.columns
-- The columns that are read of an item and its order.
i.ref, i.order_ref, i.ordered_at, i.body, i.created_at, i.modified_at,
o.body ->> 'status' AS order_status, o.body ->> 'currency_code' AS order_currency_code

-- order_items.rewrite
-- Store new fields of a locked item.
UPDATE {ws}.order_items SET ordered_at = %(ordered_at)s, body = %(body)s, modified_at = %(now)s
WHERE ref = %(ref)s

-- order_items.delete
-- Delete an item with its extension and the consumers' links to it.
DELETE FROM {ws}.order_items WHERE ref = %(ref)s

-- order_items.list
-- A page of items, oldest first, each row with the total.
SELECT {columns}, ({total}) AS total
FROM {ws}.order_items AS i JOIN {ws}.orders AS o ON o.ref = i.order_ref
WHERE true {filters}
ORDER BY i.created_at, i.ref LIMIT %(limit)s OFFSET %(offset)s

-- order_items.count
-- The number of items that match the filters.
SELECT count(*) AS total FROM {ws}.order_items AS i WHERE true {filters}

-- order_items.numbers
-- How many items each of several orders has.
SELECT order_ref, count(*) AS number FROM {ws}.order_items
WHERE order_ref = ANY (%(parents)s::uuid[]) GROUP BY order_ref

-- order_items.by_order
-- Filter: items of one order.
AND i.order_ref = %(order)s

-- order_items.by_consumer
-- Filter: items that one consumer uses (P-7).
AND i.ref = ANY (ARRAY(
    SELECT order_item_ref FROM {ws}.order_consumer_items
    WHERE order_consumer_ref = %(order_consumer)s
))

-- order_items.of_many
-- Every item of several orders, oldest first.
SELECT {columns} FROM {ws}.order_items AS i JOIN {ws}.orders AS o ON o.ref = i.order_ref
WHERE i.order_ref = ANY (%(parents)s::uuid[])
ORDER BY i.created_at, i.ref
