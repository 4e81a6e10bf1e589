-- traits.list
-- Every computed trait that is defined in this workspace.
SELECT name, definition, modified_by, created_at, modified_at FROM {ws}.traits ORDER BY name

-- traits.put
-- Insert or replace a computed trait.
INSERT INTO {ws}.traits (name, definition, modified_by, created_at, modified_at)
VALUES (%(name)s, %(definition)s, %(actor)s, %(now)s, %(now)s)
ON CONFLICT (name) DO UPDATE SET definition = excluded.definition,
    modified_by = excluded.modified_by,
    modified_at = greatest(excluded.modified_at, traits.modified_at + interval '1 microsecond')
RETURNING name, definition, modified_by, created_at, modified_at

-- traits.hold
-- Every trait, locked against deletion until the transaction ends.
SELECT name FROM {ws}.traits ORDER BY name FOR KEY SHARE

-- traits.lock
-- One trait, locked against changes and new references until the transaction ends.
SELECT name, definition, modified_by, created_at, modified_at FROM {ws}.traits
WHERE name = %(name)s FOR UPDATE

-- traits.delete
-- Delete a computed trait.
DELETE FROM {ws}.traits WHERE name = %(name)s
