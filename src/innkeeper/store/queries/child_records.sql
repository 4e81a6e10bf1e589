-- child_records.of_many
-- The children of several parents, one row per parent.
SELECT parent.ref {children} FROM unnest(%(parents)s::uuid[]) AS parent (ref)

-- child_records.order_items
-- Column: the items of an order, oldest first.
, (SELECT json_agg(child) FROM (
    SELECT {item_columns} FROM {ws}.order_items AS i JOIN {ws}.orders AS o ON o.ref = i.order_ref
    WHERE i.order_ref = parent.ref ORDER BY i.created_at, i.ref
) AS child) AS order_items

-- child_records.order_contacts
-- Column: the contacts of an order, oldest first.
, (SELECT json_agg(child) FROM (
    SELECT {person_columns}
    FROM {ws}.order_contacts AS p JOIN {ws}.guests AS g ON g.ref = p.guest_ref
    WHERE p.order_ref = parent.ref ORDER BY p.created_at, p.ref
) AS child) AS order_contacts

-- child_records.order_consumers
-- Column: the consumers of an order with the items they use, oldest first.
, (SELECT json_agg(child) FROM (
    SELECT {person_columns} {used_items}
    FROM {ws}.order_consumers AS p JOIN {ws}.guests AS g ON g.ref = p.guest_ref
    WHERE p.order_ref = parent.ref ORDER BY p.created_at, p.ref
) AS child) AS order_consumers

-- child_records.extensions
-- Column: the data extensions of a guest, an order or an item, oldest first.
, (SELECT json_agg(child) FROM (
    SELECT {columns} FROM {table} WHERE {column} = parent.ref ORDER BY created_at, name, key
) AS child) AS extensions
