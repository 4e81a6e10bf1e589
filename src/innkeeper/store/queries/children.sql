-- Templates: each resource that belongs to another has these statements under the name of its table,
-- as `order_items.fetch`. `{table}`, `{parent}` and `{parent_ref}` are replaced with its table, its parent's
-- table and the column that points there; the name of another template with its text. A file of
-- the same name as the table, or as a class that the resource is based on, replaces templates.

-- children.table
-- The table of the resource.
{table}

-- children.rows
-- The rows that are read.
{table} AS c

-- children.columns
-- The columns that are read.
c.ref, c.{parent_ref}, c.body, c.created_at, c.modified_at

-- children.create
-- Create a row; returns none if the parent does not exist.
WITH parent AS (
    SELECT ref FROM {parent} WHERE ref = %(parent)s FOR KEY SHARE
)
INSERT INTO {table} AS c (ref, {parent_ref}, body, created_at, modified_at)
SELECT %(ref)s, ref, %(body)s, %(now)s, %(now)s FROM parent
RETURNING {columns}

-- children.fetch
-- One row by ref.
SELECT {columns} FROM {rows} WHERE c.ref = %(ref)s

-- children.lock
-- Lock one row by ref until the transaction ends.
SELECT {columns} {locked_columns} FROM {rows} WHERE c.ref = %(ref)s FOR NO KEY UPDATE OF c {locked_rows}

-- children.rewrite
-- Store new fields of a locked row.
UPDATE {table} SET body = %(body)s, modified_at = %(now)s WHERE ref = %(ref)s

-- children.delete
-- Delete a row with all that belongs to it.
DELETE FROM {table} WHERE ref = %(ref)s

-- children.list
-- A page, oldest first, each row with the total.
SELECT {columns}, (SELECT count(*) FROM {table} AS c WHERE true {filters}) AS total
FROM {rows} WHERE true {filters}
ORDER BY c.created_at, c.ref LIMIT %(limit)s OFFSET %(offset)s

-- children.of_parent
-- Filter: rows of one parent.
AND c.{parent_ref} = %(parent)s

-- children.of_many
-- Every row of several parents, oldest first.
SELECT {columns} FROM {rows} WHERE c.{parent_ref} = ANY (%(parents)s::uuid[])
ORDER BY c.created_at, c.ref

-- children.rows_of_roots
-- Part of `import_undo.rows_of_orders`: the rows of orders.
UNION ALL
SELECT '{name}', ref, order_ref, modified_at FROM {table} WHERE order_ref = ANY (%(roots)s::uuid[])

-- children.numbers
-- How many rows each of several parents has.
SELECT {parent_ref}, count(*) AS number FROM {table}
WHERE {parent_ref} = ANY (%(parents)s::uuid[]) GROUP BY {parent_ref}

-- children.lock_parent
-- Lock a parent against deletion until the transaction ends.
SELECT ref FROM {parent} WHERE ref = %(parent)s FOR KEY SHARE

-- children.exists
-- Whether a row exists.
SELECT true AS is_stored FROM {table} WHERE ref = %(ref)s

-- children.column
-- Column: the rows of the table `parent`, oldest first.
, (SELECT json_agg(child) FROM (
    SELECT {columns} FROM {rows} WHERE c.{parent_ref} = parent.ref ORDER BY c.created_at, c.ref
) AS child) AS {name}

-- children.erase
-- Delete the rows of erased orders.
DELETE FROM {table} WHERE order_ref = ANY (%(orders)s::uuid[])

-- children.access
-- Rows of orders that guests are contacts or consumers of.
SELECT c.ref, c.order_ref, c.body, c.created_at, c.modified_at FROM {table} AS c
WHERE c.order_ref IN (
    SELECT order_ref FROM {ws}.order_contacts WHERE guest_ref = ANY (%(guests)s::uuid[])
    UNION
    SELECT order_ref FROM {ws}.order_consumers WHERE guest_ref = ANY (%(guests)s::uuid[])
) ORDER BY c.created_at, c.ref

-- children.lake_rows
-- The rows of changed orders, for the lake.
SELECT c.ref AS meta_ref, c.created_at AS meta_created_at, c.modified_at AS meta_modified_at,
    c.order_ref, {contact}, c.body
FROM {ws}.orders AS o JOIN {table} AS c ON c.order_ref = o.ref
WHERE o.ref IN (SELECT changes.ref FROM {changes} AS changes WHERE kind = 'order')

-- children.insert_many
-- Create rows of several locked parents.
INSERT INTO {table} (ref, {parent_ref}, body, created_at, modified_at)
SELECT new.ref, new.parent, new.body, %(now)s, %(now)s
FROM unnest(%(refs)s::uuid[], %(parents)s::uuid[], %(bodies)s::jsonb[]) AS new (ref, parent, body)

-- children.create_for_dry_run
-- Create the table of a dry run: empty and temporary.
CREATE TEMPORARY TABLE {name} (LIKE {table} INCLUDING ALL)

-- children.drop_for_dry_run
-- Drop the table of a dry run.
DROP TABLE IF EXISTS pg_temp.{name}

-- children.copy_for_dry_run
-- Copy the rows of orders with these referenceIds that the dry run does not have yet.
INSERT INTO pg_temp.{name} SELECT c.* FROM {table} AS c JOIN pg_temp.orders AS o ON o.ref = c.order_ref
WHERE o.reference_key = ANY (%(keys)s::uuid[])
  AND NOT EXISTS (SELECT FROM pg_temp.{name} AS d WHERE d.ref = c.ref)
