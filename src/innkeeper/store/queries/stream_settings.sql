-- stream_settings.sites
-- Every alias of a site.
SELECT site, point_of_sale FROM {ws}.site_aliases ORDER BY site

-- stream_settings.lock_site
-- One alias of a site, held until the transaction ends.
SELECT site, point_of_sale FROM {ws}.site_aliases WHERE site = %(site)s FOR UPDATE

-- stream_settings.name_site
-- A site of the edge paths means a point of sale; no row when there is none of that name.
INSERT INTO {ws}.site_aliases (site, point_of_sale)
SELECT %(site)s, name FROM {ws}.points_of_sale WHERE name = %(point_of_sale)s
ON CONFLICT (site) DO UPDATE SET point_of_sale = excluded.point_of_sale
RETURNING site, point_of_sale

-- stream_settings.forget_site
-- A site is called by its own name again.
DELETE FROM {ws}.site_aliases WHERE site = %(site)s
RETURNING site, point_of_sale
