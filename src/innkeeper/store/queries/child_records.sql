-- child_records.of_many
-- The children of several parents, one row per parent.
SELECT parent.ref {children} FROM unnest(%(parents)s::uuid[]) AS parent (ref)

-- child_records.extensions
-- Column: the data extensions of a guest, an order or an item, oldest first.
, (SELECT json_agg(child) FROM (
    SELECT {extensions.columns} FROM {table} WHERE {column} = parent.ref ORDER BY created_at, name, key
) AS child) AS extensions
