-- What an order that was refunded, or never bought, adds to sums and traits is another than before
-- (rules/revenue.py): Live segments look again at the guests who have such an order or item. From
-- 20,000 guests that wait on, each is calculated whole; more need not be listed.
INSERT INTO {ws}.segment_touched (guest_ref)
WITH changed AS (
    SELECT o.ref FROM {ws}.orders AS o
    WHERE upper(o.body ->> 'status') = 'REFUNDED' OR (o.body ->> 'price')::numeric < 0
        OR upper(o.body ->> 'status') IN ('CANCELLED', 'DECLINED', 'BROWSED', 'SEARCHED', 'PENDING',
            'PAYMENT_PENDING', 'RESERVED', 'UNKNOWN')
    UNION
    SELECT i.order_ref FROM {ws}.order_items AS i
    WHERE (i.body ->> 'price')::numeric < 0
        OR upper(i.body ->> 'status') IN ('REFUNDED', 'CANCELLED', 'DECLINED', 'BROWSED',
            'SEARCHED', 'PENDING', 'PAYMENT_PENDING', 'RESERVED', 'UNKNOWN')
)
SELECT DISTINCT each.ref
FROM changed
JOIN {ws}.order_contacts AS c ON c.order_ref = changed.ref
JOIN {ws}.guests AS g ON g.ref = c.guest_ref
CROSS JOIN LATERAL (VALUES (g.ref), (g.survivor_ref)) AS each (ref)
WHERE each.ref IS NOT NULL
    AND EXISTS (SELECT FROM {ws}.segments WHERE status = 'LIVE')
LIMIT 20000;
