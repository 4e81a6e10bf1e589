-- saved_queries.list
-- All saved queries by name.
SELECT name, sql, owner, modified_by, created_at, modified_at FROM {ws}.saved_queries ORDER BY name

-- saved_queries.fetch
-- One saved query.
SELECT name, sql, owner, modified_by, created_at, modified_at FROM {ws}.saved_queries WHERE name = %(name)s

-- saved_queries.lock
-- Lock the list against other writes until the transaction ends; readers do not wait.
LOCK TABLE {ws}.saved_queries IN SHARE ROW EXCLUSIVE MODE

-- saved_queries.save
-- Insert a query, or replace the text of the one with that name.
INSERT INTO {ws}.saved_queries AS q (name, sql, owner, modified_by, created_at, modified_at)
VALUES (%(name)s, %(sql)s, %(actor)s, %(actor)s, %(now)s, %(now)s)
ON CONFLICT (name) DO UPDATE
SET sql = EXCLUDED.sql, modified_by = EXCLUDED.modified_by, modified_at = EXCLUDED.modified_at
RETURNING name, sql, owner, modified_by, created_at, modified_at

-- saved_queries.rename
-- Rename a query.
UPDATE {ws}.saved_queries
SET name = %(new)s, modified_by = %(actor)s, modified_at = %(now)s WHERE name = %(name)s
RETURNING name, sql, owner, modified_by, created_at, modified_at

-- saved_queries.delete
-- Delete a query.
DELETE FROM {ws}.saved_queries WHERE name = %(name)s
