-- orders.create_or_match
-- Create an order, or update the one it matches (O-1 to O-3); `fresh` is true for a new one.
SELECT ref, reference_id, ordered_at, body, created_at, modified_at, is_new AS fresh,
    pg_current_xact_id()::xid::text AS row_version
FROM {ws}.create_or_update_order(
    %(lock)s::bigint, %(tolerance)s::interval, %(ref)s::uuid, %(reference_key)s::uuid,
    %(reference_id)s::text, %(ordered_at)s::timestamptz, %(body)s::jsonb, %(cleared)s::text[],
    %(now)s::timestamptz
)

-- orders.create_all
-- Create several orders: a row for each that matches no order, and whose referenceId nobody else
-- has locked.
SELECT batch_position, ref, reference_id, ordered_at, body, created_at, modified_at,
    true AS fresh, pg_current_xact_id()::xid::text AS row_version
FROM {ws}.create_new_orders(%(elements)s)

-- orders.fetch
-- One order by ref.
SELECT orders.ref, reference_id, ordered_at, body, created_at, modified_at,
    orders.xmin::text AS row_version {children}
FROM {ws}.orders CROSS JOIN LATERAL (SELECT orders.ref) AS parent
WHERE orders.ref = %(ref)s {filters}

-- orders.lock
-- Lock one order by ref until the transaction ends.
SELECT ref, reference_id, ordered_at, body, created_at, modified_at, xmin::text AS row_version
FROM {ws}.orders WHERE ref = %(ref)s {filters} FOR NO KEY UPDATE

-- orders.rewrite
-- Store new fields of a locked order.
UPDATE {ws}.orders SET body = %(body)s, modified_at = %(now)s WHERE ref = %(ref)s
RETURNING xmin::text AS row_version

-- orders.delete
-- Delete an order with its items, contacts, consumers and data extensions (O-11).
DELETE FROM {ws}.orders WHERE ref = %(ref)s {filters}

-- orders.list
-- A page of orders, each row with the total.
SELECT ref, reference_id, ordered_at, body, created_at, modified_at, ({total}) AS total
FROM {ws}.orders WHERE true {filters}
ORDER BY {order} {page}

-- orders.count
-- The number of orders that match the filters.
SELECT count(*) AS total FROM {ws}.orders WHERE true {filters}

-- orders.count_all
-- The number of all orders, from stored counts.
SELECT coalesce(sum(orders), 0)::bigint AS total FROM {ws}.order_counts

-- orders.by_reference_id
-- Filter: the organisation's own number, exactly.
AND reference_key = %(reference_key)s AND reference_id = %(reference_id)s

-- orders.by_guest_ref
-- Filter: orders that a live guest, or one merged into it, is a contact or consumer of (O-8).
AND orders.ref = ANY (ARRAY(
    WITH merged_group AS (
        SELECT g.ref FROM {ws}.guests AS g
        WHERE g.ref = %(guest_ref)s AND g.survivor_ref IS NULL OR g.survivor_ref = %(guest_ref)s
    )
    SELECT order_ref FROM {ws}.order_contacts JOIN merged_group ON guest_ref = merged_group.ref
    UNION
    SELECT order_ref FROM {ws}.order_consumers JOIN merged_group ON guest_ref = merged_group.ref
))

-- orders.sort_keys
-- Sort keys (O-7), `name: expression`.
created_at: created_at
ordered_at: ordered_at

-- orders.sort_last
-- Default sort order, and the last sort keys of every other, which make it unique (L-10).
created_at, ref
