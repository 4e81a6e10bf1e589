-- points_of_sale.list
-- Every point of sale, by name.
SELECT name, market, brand, language, timeout_minutes, nullif(test, false) AS test
FROM {ws}.points_of_sale ORDER BY name

-- points_of_sale.create
-- Insert a point of sale; no row if the name exists.
INSERT INTO {ws}.points_of_sale (name, market, brand, language, timeout_minutes, test)
VALUES (%(name)s, %(market)s, %(brand)s, %(language)s, %(timeout_minutes)s,
    coalesce(%(test)s::boolean, false))
ON CONFLICT DO NOTHING

-- points_of_sale.lock
-- One point of sale, locked until the transaction ends.
SELECT name, market, brand, language, timeout_minutes, nullif(test, false) AS test
FROM {ws}.points_of_sale WHERE name = %(name)s FOR NO KEY UPDATE

-- points_of_sale.change
-- Change a point of sale; null changes nothing, an empty text clears.
UPDATE {ws}.points_of_sale SET
    timeout_minutes = coalesce(%(timeout_minutes)s::integer, timeout_minutes),
    test = coalesce(%(test)s::boolean, test),
    market = nullif(coalesce(%(market)s::text, market), ''),
    brand = nullif(coalesce(%(brand)s::text, brand), ''),
    language = nullif(coalesce(%(language)s::text, language), '')
WHERE name = %(name)s
RETURNING name, market, brand, language, timeout_minutes, nullif(test, false) AS test

-- points_of_sale.recent
-- The points of sale of the latest events: number of events, and of all of them.
WITH latest AS (
    SELECT point_of_sale FROM {ws}.events ORDER BY at DESC, ref DESC LIMIT %(most)s
)
SELECT point_of_sale AS name, count(*) AS events, (SELECT count(*) FROM latest) AS total
FROM latest GROUP BY point_of_sale ORDER BY point_of_sale

-- points_of_sale.delete
-- Delete a point of sale.
DELETE FROM {ws}.points_of_sale WHERE name = %(name)s
RETURNING name, market, brand, language, timeout_minutes, nullif(test, false) AS test
