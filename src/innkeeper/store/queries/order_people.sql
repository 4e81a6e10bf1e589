-- Templates of contacts and consumers, in place of those of children.sql.

-- order_people.rows
-- People with the guests as stored.
{table} AS c JOIN {ws}.guests AS g ON g.ref = c.guest_ref

-- order_people.columns
-- The columns that are read of a person: guest_ref is the survivor of the stored guest, or itself.
c.ref, c.order_ref, coalesce(g.survivor_ref, g.ref) AS guest_ref, c.body, c.created_at,
c.modified_at {used_items}

-- order_people.locked_columns
-- Part: the further column of a locked person, its guest as stored.
, c.guest_ref AS recorded_ref

-- order_people.create
-- Create a person on an order with the items they use; returns the survivor of the stored guest or
-- itself. No row if the order does not exist.
WITH parent AS (
    SELECT ref FROM {parent} WHERE ref = %(parent)s FOR KEY SHARE
), used AS (
    INSERT INTO {ws}.order_consumer_items (order_consumer_ref, order_item_ref, position)
    SELECT %(ref)s, item, position
    FROM parent, unnest(%(items)s::uuid[]) WITH ORDINALITY AS named (item, position)
), created AS (
    INSERT INTO {table} (ref, order_ref, guest_ref, body, created_at, modified_at)
    SELECT %(ref)s, ref, %(guest)s, %(body)s, %(now)s, %(now)s FROM parent
) {joined}
SELECT coalesce(survivor_ref, guests.ref) AS guest_ref
FROM {ws}.guests, parent WHERE guests.ref = %(guest)s

-- order_people.insert_join
-- Part of `create`: store that the record joined the guest, with the reason.
, inserted_join AS (
    INSERT INTO {ws}.guest_joins (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
    SELECT %(guest)s, %(rule)s, %(evidence)s, %(source)s, ref, %(actor)s, %(now)s FROM parent
)

-- order_people.rewrite
-- Store new fields and guest of a locked person; returns the survivor of that guest, or itself.
WITH rewritten AS (
    UPDATE {table} SET guest_ref = %(guest)s, body = %(body)s, modified_at = %(now)s
    WHERE ref = %(ref)s
)
SELECT coalesce(survivor_ref, ref) AS guest_ref FROM {ws}.guests WHERE ref = %(guest)s

-- order_people.erase
-- Delete guests from the other orders.
DELETE FROM {table} WHERE guest_ref = ANY (%(guests)s::uuid[])

-- order_people.access
-- Guests as people on orders.
SELECT ref, order_ref, guest_ref, body, created_at, modified_at FROM {table}
WHERE guest_ref = ANY (%(guests)s::uuid[]) ORDER BY created_at, ref
