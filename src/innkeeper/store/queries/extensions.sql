-- extensions.guest_table
-- Table: the data extensions of guests.
{ws}.guest_extensions

-- extensions.guest_column
-- Column: the guest.
guest_ref

-- extensions.guest_row
-- A guest; an absorbed one names its survivor.
SELECT survivor_ref FROM {ws}.guests WHERE ref = %(parent)s

-- extensions.guest_is_live
-- Filter: only if the guest is live.
AND EXISTS (SELECT FROM {ws}.guests WHERE guests.ref = %(parent)s AND survivor_ref IS NULL)

-- extensions.order_table
-- Table: the data extensions of orders.
{ws}.order_extensions

-- extensions.order_column
-- Column: the order.
order_ref

-- extensions.order_row
-- An order.
SELECT NULL::uuid AS survivor_ref FROM {ws}.orders WHERE ref = %(parent)s

-- extensions.order_item_table
-- Table: the data extensions of order items.
{ws}.order_item_extensions

-- extensions.order_item_column
-- Column: the order item.
order_item_ref

-- extensions.order_item_row
-- An order item.
SELECT NULL::uuid AS survivor_ref FROM {ws}.order_items WHERE ref = %(parent)s

-- extensions.columns
-- The columns that are read of an extension.
{column}, name, key, ref, pairs, single, created_at, modified_at

-- extensions.find_parent
-- The parent of extensions.
{row}

-- extensions.lock_parent
-- Lock the parent of extensions until the transaction ends.
{row} FOR NO KEY UPDATE

-- extensions.create
-- Create a data extension of a locked parent; no row if that name and key exist.
INSERT INTO {table} ({extensions.columns})
VALUES (%(parent)s, %(name)s, %(key)s, %(ref)s, %(pairs)s, %(single)s, %(now)s, %(now)s)
ON CONFLICT DO NOTHING
RETURNING {extensions.columns}

-- extensions.of_one
-- Every data extension of a parent, oldest first.
SELECT {extensions.columns} FROM {table} WHERE {column} = %(parent)s {live}
ORDER BY created_at, name, key

-- extensions.of_one_cut
-- The first data extensions of a parent, large ones with their texts cut, each row with the total.
SELECT e.name, e.key, e.ref, e.single, e.created_at, e.modified_at, e.total,
    CASE WHEN octet_length(e.pairs::text) <= %(whole)s THEN e.pairs ELSE (
        SELECT jsonb_object_agg(key, CASE jsonb_typeof(value)
            WHEN 'string' THEN to_jsonb(left(value #>> '{}', %(most)s)) ELSE value END)
        FROM jsonb_each(e.pairs)
    ) END AS pairs
FROM (
    SELECT {extensions.columns}, count(*) OVER () AS total FROM {table} WHERE {column} = %(parent)s {live}
    ORDER BY created_at, name, key LIMIT %(limit)s
) AS e
ORDER BY e.created_at, e.name, e.key

-- extensions.by_ref
-- One data extension of a parent.
SELECT {extensions.columns} FROM {table} WHERE {column} = %(parent)s AND ref = %(ref)s {live}

-- extensions.refs
-- The data extensions of a parent, oldest first, without their pairs.
SELECT ref FROM {table} WHERE {column} = %(parent)s {live} ORDER BY created_at, name, key

-- extensions.of_many_cut
-- The first data extensions of each of several parents, the texts of large ones cut.
SELECT e.{column}, e.name, e.key, e.ref, e.single, e.created_at, e.modified_at,
    CASE WHEN octet_length(e.pairs::text) <= %(whole)s THEN e.pairs ELSE (
        SELECT jsonb_object_agg(key, CASE jsonb_typeof(value)
            WHEN 'string' THEN to_jsonb(left(value #>> '{}', %(most)s)) ELSE value END)
        FROM jsonb_each(e.pairs)
    ) END AS pairs
FROM unnest(%(parents)s::uuid[]) WITH ORDINALITY AS p (ref, place) CROSS JOIN LATERAL (
    SELECT {extensions.columns} FROM {table} WHERE {column} = p.ref
    ORDER BY created_at, name, key LIMIT %(each)s
) AS e
ORDER BY p.place, e.created_at, e.name, e.key LIMIT %(limit)s

-- extensions.of_many
-- Every data extension of several parents, oldest first.
SELECT {extensions.columns} FROM {table} WHERE {column} = ANY (%(parents)s::uuid[])
ORDER BY created_at, name, key

-- extensions.rewrite
-- Store new pairs of an extension of a locked parent.
UPDATE {table} SET pairs = %(pairs)s, single = %(single)s, modified_at = %(now)s
WHERE {column} = %(parent)s AND name = %(name)s AND key = %(key)s
RETURNING {extensions.columns}

-- extensions.delete
-- Delete the extensions of a name: all keys, or one.
DELETE FROM {table} WHERE {column} = %(parent)s AND name = %(name)s
AND (%(key)s::text IS NULL OR key = %(key)s)
