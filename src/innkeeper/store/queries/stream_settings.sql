-- stream_settings.sites
-- Every alias of a site.
SELECT site, point_of_sale FROM {ws}.site_aliases ORDER BY site

-- stream_settings.lock_site
-- One alias of a site, locked until the transaction ends.
SELECT site, point_of_sale FROM {ws}.site_aliases WHERE site = %(site)s FOR UPDATE

-- stream_settings.set_site
-- Map a site of the edge paths to a point of sale; no row if there is no such point of sale.
INSERT INTO {ws}.site_aliases (site, point_of_sale)
SELECT %(site)s, name FROM {ws}.points_of_sale WHERE name = %(point_of_sale)s
ON CONFLICT (site) DO UPDATE SET point_of_sale = excluded.point_of_sale
RETURNING site, point_of_sale

-- stream_settings.delete_site
-- Delete an alias of a site.
DELETE FROM {ws}.site_aliases WHERE site = %(site)s
RETURNING site, point_of_sale
