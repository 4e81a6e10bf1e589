-- traits.list
-- Every computed trait that was defined here.
SELECT name, definition, modified_by, created_at, modified_at FROM {ws}.traits ORDER BY name

-- traits.put
-- A computed trait, new or changed.
INSERT INTO {ws}.traits (name, definition, modified_by, created_at, modified_at)
VALUES (%(name)s, %(definition)s, %(actor)s, %(now)s, %(now)s)
ON CONFLICT (name) DO UPDATE SET definition = excluded.definition,
    modified_by = excluded.modified_by,
    modified_at = greatest(excluded.modified_at, traits.modified_at + interval '1 microsecond')
RETURNING name, definition, modified_by, created_at, modified_at

-- traits.hold
-- Every trait, kept from being deleted until the transaction ends.
SELECT name FROM {ws}.traits ORDER BY name FOR KEY SHARE

-- traits.lock
-- One trait, which nothing can ask for anew until the transaction ends.
SELECT name, definition, modified_by, created_at, modified_at FROM {ws}.traits
WHERE name = %(name)s FOR UPDATE

-- traits.delete
-- Remove a computed trait.
DELETE FROM {ws}.traits WHERE name = %(name)s
