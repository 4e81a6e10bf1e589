-- dry_run.create_tables
-- Create the tables of a dry run: empty temporary tables of this connection with the names, columns
-- and indexes of those of the workspace. Statements with the schema `pg_temp` then write to them.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'guests', 'guest_keys', 'guest_extensions', 'guest_joins', 'guarded_evidence',
        'orders', 'order_items', 'order_contacts', 'order_consumers', 'order_consumer_items',
        'order_extensions', 'order_item_extensions'
    ] LOOP
        EXECUTE format('CREATE TEMPORARY TABLE %%1$I (LIKE {ws}.%%1$I INCLUDING ALL)', name);
    END LOOP;
END $$

-- dry_run.drop_tables
-- Drop the tables of a dry run.
DROP TABLE IF EXISTS pg_temp.guests, pg_temp.guest_keys, pg_temp.guest_extensions,
    pg_temp.guest_joins, pg_temp.guarded_evidence, pg_temp.orders, pg_temp.order_items,
    pg_temp.order_contacts, pg_temp.order_consumers, pg_temp.order_consumer_items,
    pg_temp.order_extensions, pg_temp.order_item_extensions

-- dry_run.copy_guests
-- Copy guests that the dry run does not have yet, with their keys and data extensions, without a lock.
WITH copied AS (
    INSERT INTO pg_temp.guests SELECT g.* FROM {ws}.guests AS g
    WHERE g.ref = ANY (%(refs)s::uuid[])
      AND NOT EXISTS (SELECT FROM pg_temp.guests AS d WHERE d.ref = g.ref)
    RETURNING ref
), keys AS (
    INSERT INTO pg_temp.guest_keys
    SELECT k.* FROM {ws}.guest_keys AS k JOIN copied ON copied.ref = k.guest_ref
)
INSERT INTO pg_temp.guest_extensions
SELECT e.* FROM {ws}.guest_extensions AS e JOIN copied ON copied.ref = e.guest_ref

-- dry_run.created_guests
-- The guests that the dry run created.
SELECT ref FROM pg_temp.guests AS d WHERE ref = ANY (%(refs)s::uuid[])
    AND NOT EXISTS (SELECT FROM {ws}.guests AS g WHERE g.ref = d.ref)

-- dry_run.copy_orders
-- Copy the orders with these referenceIds that the dry run does not have yet, with their parts, without
-- a lock; return the guests of their contacts and consumers.
WITH copied AS (
    INSERT INTO pg_temp.orders SELECT o.* FROM {ws}.orders AS o
    WHERE o.reference_key = ANY (%(keys)s::uuid[])
      AND NOT EXISTS (SELECT FROM pg_temp.orders AS d WHERE d.ref = o.ref)
    RETURNING ref
), extensions AS (
    INSERT INTO pg_temp.order_extensions
    SELECT e.* FROM {ws}.order_extensions AS e JOIN copied ON copied.ref = e.order_ref
), items AS (
    INSERT INTO pg_temp.order_items
    SELECT i.* FROM {ws}.order_items AS i JOIN copied ON copied.ref = i.order_ref
    RETURNING ref
), item_extensions AS (
    INSERT INTO pg_temp.order_item_extensions
    SELECT e.* FROM {ws}.order_item_extensions AS e JOIN items ON items.ref = e.order_item_ref
), contacts AS (
    INSERT INTO pg_temp.order_contacts
    SELECT c.* FROM {ws}.order_contacts AS c JOIN copied ON copied.ref = c.order_ref
    RETURNING guest_ref
), consumers AS (
    INSERT INTO pg_temp.order_consumers
    SELECT c.* FROM {ws}.order_consumers AS c JOIN copied ON copied.ref = c.order_ref
    RETURNING guest_ref
)
SELECT guest_ref FROM contacts UNION SELECT guest_ref FROM consumers
