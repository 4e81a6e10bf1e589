-- import_sources.columns
-- The columns of an import source.
s.ref, s.name, s.address, s.entity, s.file_options, s.mark_column, s.mark, s.schedule, s.next_at,
s.is_free, s.import_ref, s.pending_mark, s.read_at, s.attempts, s.error, s.next_attempt_at,
s.modified_by, s.created_at, s.modified_at

-- import_sources.create
-- Insert an import source; no row if its name exists.
INSERT INTO {ws}.import_sources AS s
    (ref, name, address, entity, file_options, mark_column, schedule, next_at, is_free, modified_by,
     created_at, modified_at)
VALUES (%(ref)s, %(name)s, %(address)s, %(entity)s, %(file_options)s, %(mark_column)s,
    %(schedule)s, %(next_at)s, %(is_free)s, %(actor)s, %(now)s, %(now)s)
ON CONFLICT (name) DO NOTHING
RETURNING {columns}

-- import_sources.list
-- Every import source, by name.
SELECT {columns} FROM {ws}.import_sources AS s ORDER BY name

-- import_sources.fetch
-- One import source by ref or name.
SELECT {columns} FROM {ws}.import_sources AS s WHERE ref = %(ref)s OR name = %(name)s

-- import_sources.lock
-- One import source, locked until the transaction ends, and whether its last import is unfinished.
SELECT {columns}, EXISTS (
    SELECT FROM {ws}.batches AS b WHERE b.ref = s.import_ref AND b.finished_at IS NULL
) AS is_importing
FROM {ws}.import_sources AS s WHERE ref = %(ref)s FOR NO KEY UPDATE OF s

-- import_sources.delete
-- Delete an import source; its imports stay.
DELETE FROM {ws}.import_sources WHERE ref = %(ref)s

-- import_sources.due
-- Import sources whose time or next attempt has come and whose last import has finished.
SELECT {columns} FROM {ws}.import_sources AS s
WHERE least(next_at, next_attempt_at) <= %(now)s AND NOT EXISTS (
    SELECT FROM {ws}.batches AS b WHERE b.ref = s.import_ref AND b.finished_at IS NULL
)
ORDER BY least(next_at, next_attempt_at), ref LIMIT 1000

-- import_sources.schedule
-- Store when a source is read next by its schedule, and when by the next attempt.
UPDATE {ws}.import_sources SET next_at = %(next_at)s, next_attempt_at = %(next_attempt_at)s
WHERE ref = %(ref)s

-- import_sources.start_import
-- Store the import that reads a source, and the mark that it will have reached.
UPDATE {ws}.import_sources SET import_ref = %(import)s, pending_mark = %(mark)s
WHERE ref = %(ref)s

-- import_sources.succeed
-- Store that a source was read to its end, and how far that is.
UPDATE {ws}.import_sources SET mark = %(mark)s, pending_mark = NULL, read_at = %(now)s,
    attempts = 0, error = NULL, next_attempt_at = NULL
WHERE ref = %(ref)s

-- import_sources.fail
-- Store why a source could not be read, and when it is tried again; its mark stays.
UPDATE {ws}.import_sources SET pending_mark = NULL, attempts = %(attempts)s, error = %(error)s,
    next_attempt_at = %(next_attempt_at)s
WHERE ref = %(ref)s
