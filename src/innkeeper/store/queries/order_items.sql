-- order_items.create
-- Create an item, with the columns it takes from its order; no row if the order does not exist.
WITH parent AS (
    SELECT ref, ordered_at, body ->> 'status' AS order_status,
        body ->> 'currency_code' AS order_currency_code
    FROM {ws}.orders WHERE ref = %(parent)s {filters} FOR KEY SHARE
), created AS (
    INSERT INTO {ws}.order_items (ref, order_ref, ordered_at, body, created_at, modified_at)
    SELECT %(ref)s, ref, coalesce(%(ordered_at)s::timestamptz, ordered_at), %(body)s,
        %(now)s, %(now)s
    FROM parent
    RETURNING ref, order_ref, ordered_at, body, created_at, modified_at
)
SELECT created.*, order_status, order_currency_code FROM created CROSS JOIN parent

-- order_items.create_all
-- Create several items: a row for each whose order exists and is not locked by others.
WITH element AS (
    SELECT * FROM jsonb_to_recordset(%(elements)s) AS element (
        batch_position integer, ref uuid, parent uuid, ordered_at timestamptz, body jsonb,
        now timestamptz
    )
), parent AS (
    SELECT ref, ordered_at, body ->> 'status' AS order_status,
        body ->> 'currency_code' AS order_currency_code
    FROM {ws}.orders WHERE ref = ANY (ARRAY(SELECT parent FROM element))
    ORDER BY ref FOR KEY SHARE SKIP LOCKED
), created AS (
    INSERT INTO {ws}.order_items (ref, order_ref, ordered_at, body, created_at, modified_at)
    SELECT e.ref, e.parent, coalesce(e.ordered_at, parent.ordered_at), e.body, e.now, e.now
    FROM element AS e JOIN parent ON parent.ref = e.parent
    RETURNING ref, order_ref, ordered_at, body, created_at, modified_at
)
SELECT batch_position, created.*, order_status, order_currency_code
FROM created JOIN element USING (ref) JOIN parent ON parent.ref = order_ref

-- order_items.rows
-- Items with their orders.
{table} AS c JOIN {parent} AS o ON o.ref = c.order_ref

-- order_items.columns
-- The columns that are read of an item and its order.
c.ref, c.order_ref, c.ordered_at, c.body, c.created_at, c.modified_at,
o.body ->> 'status' AS order_status, o.body ->> 'currency_code' AS order_currency_code

-- order_items.locked_columns
-- Part: further columns of a locked item.
, o.ordered_at AS order_ordered_at

-- order_items.locked_rows
-- The order of a locked item must not be deleted.
FOR KEY SHARE OF o

-- order_items.rewrite
-- Store new fields of a locked item.
UPDATE {table} SET ordered_at = %(ordered_at)s, body = %(body)s, modified_at = %(now)s
WHERE ref = %(ref)s

-- order_items.by_consumer
-- Filter: items that one consumer uses (P-7).
AND c.ref = ANY (ARRAY(
    SELECT order_item_ref FROM {ws}.order_consumer_items
    WHERE order_consumer_ref = %(order_consumer)s
))

-- order_items.access
-- Items of orders that guests are contacts or consumers of.
SELECT i.ref, i.order_ref, i.ordered_at, i.body, i.created_at, i.modified_at
FROM {table} AS i
WHERE i.order_ref IN (
    SELECT order_ref FROM {ws}.order_contacts WHERE guest_ref = ANY (%(guests)s::uuid[])
    UNION
    SELECT order_ref FROM {ws}.order_consumers WHERE guest_ref = ANY (%(guests)s::uuid[])
) ORDER BY i.created_at, i.ref
