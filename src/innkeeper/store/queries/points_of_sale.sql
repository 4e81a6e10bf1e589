-- points_of_sale.list
-- Every point of sale, by name.
SELECT name, market, brand, language, timeout_minutes FROM {ws}.points_of_sale ORDER BY name

-- points_of_sale.create
-- A new point of sale; no row when the name is taken.
INSERT INTO {ws}.points_of_sale (name, market, brand, language, timeout_minutes)
VALUES (%(name)s, %(market)s, %(brand)s, %(language)s, %(timeout_minutes)s)
ON CONFLICT DO NOTHING

-- points_of_sale.delete
-- Remove a point of sale.
DELETE FROM {ws}.points_of_sale WHERE name = %(name)s
