-- order_consumers.used_items
-- Column: the items that a consumer uses, in the order they were named.
, ARRAY(
    SELECT order_item_ref FROM {ws}.order_consumer_items
    WHERE order_consumer_ref = c.ref ORDER BY position
) AS order_items

-- order_consumers.delete_items
-- Delete the item links of a locked consumer.
DELETE FROM {ws}.order_consumer_items WHERE order_consumer_ref = %(ref)s

-- order_consumers.use_items
-- Insert the item links of a locked consumer.
INSERT INTO {ws}.order_consumer_items (order_consumer_ref, order_item_ref, position)
SELECT %(ref)s, item, position
FROM unnest(%(items)s::uuid[]) WITH ORDINALITY AS named (item, position)

-- order_consumers.items_of_order
-- Lock those of the items that belong to an order against deletion.
SELECT ref FROM {ws}.order_items
WHERE ref = ANY (%(items)s::uuid[]) AND order_ref = %(order)s FOR KEY SHARE
