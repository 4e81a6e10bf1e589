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
RETURNING {import_sources.columns}

-- import_sources.list
-- Every import source, by name.
SELECT {import_sources.columns} FROM {ws}.import_sources AS s ORDER BY name

-- import_sources.fetch
-- One import source by ref or name.
SELECT {import_sources.columns} FROM {ws}.import_sources AS s WHERE ref = %(ref)s OR name = %(name)s

-- import_sources.lock
-- One import source, locked until the transaction ends, and whether its last import is unfinished.
SELECT {import_sources.columns}, EXISTS (
    SELECT FROM {ws}.batches AS b WHERE b.ref = s.import_ref AND b.finished_at IS NULL
) AS is_importing
FROM {ws}.import_sources AS s WHERE ref = %(ref)s FOR NO KEY UPDATE OF s

-- import_sources.delete
-- Delete an import source; its imports stay.
DELETE FROM {ws}.import_sources WHERE ref = %(ref)s

-- import_sources.due
-- Import sources whose time or next attempt has come and whose last import has finished.
SELECT {import_sources.columns} FROM {ws}.import_sources AS s
WHERE least(next_at, next_attempt_at) <= %(now)s AND NOT EXISTS (
    SELECT FROM {ws}.batches AS b WHERE b.ref = s.import_ref AND b.finished_at IS NULL
)
ORDER BY least(next_at, next_attempt_at), ref LIMIT 1000

-- import_sources.schedule
-- Store when a source is read next by its schedule, and when by the next attempt.
UPDATE {ws}.import_sources SET next_at = %(next_at)s, next_attempt_at = %(next_attempt_at)s
WHERE ref = %(ref)s

-- import_sources.start_import
-- Store the import that reads a source, the mark that it will have reached, and options of its file that
-- were recognised.
UPDATE {ws}.import_sources SET import_ref = %(import)s, pending_mark = %(mark)s,
    file_options = file_options || %(recognised)s
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

-- import_sources.rewrite
-- Change an import source. If it is another file or column, it is
-- read from its start, and if it could not be read, at once.
UPDATE {ws}.import_sources AS s SET name = %(name)s, address = %(address)s,
    file_options = %(file_options)s, mark_column = %(mark_column)s, schedule = %(schedule)s,
    next_at = %(next_at)s, is_free = %(is_free)s, modified_by = %(actor)s, modified_at = %(now)s,
    mark = CASE WHEN %(is_other)s THEN '{}' ELSE mark END,
    pending_mark = CASE WHEN %(is_other)s THEN NULL ELSE pending_mark END,
    attempts = 0, error = NULL,
    next_attempt_at = CASE WHEN error IS NULL THEN next_attempt_at ELSE %(now)s END
WHERE ref = %(ref)s
RETURNING {import_sources.columns}

-- import_sources.forget_files
-- Forget which files of a source were imported.
DELETE FROM {ws}.import_source_files WHERE source_ref = %(ref)s

-- import_sources.first_new_file
-- The position of the first file, of those listed, that was not imported in this version. Stores which
-- imported files are missing, and forgets those that have been missing since before a time: a listing may be
-- incomplete for a while.
WITH listed AS MATERIALIZED (
    SELECT * FROM unnest(%(names)s::uuid[], %(versions)s::uuid[])
        WITH ORDINALITY AS file (name, version, number)
), changed AS (
    UPDATE {ws}.import_source_files AS f
    SET missing_since = CASE WHEN f.missing_since IS NULL THEN %(now)s::timestamptz END
    WHERE source_ref = %(ref)s
      AND (f.missing_since IS NULL) <> EXISTS (SELECT FROM listed WHERE name = f.name_digest)
), forgotten AS (
    DELETE FROM {ws}.import_source_files AS f WHERE source_ref = %(ref)s
      AND missing_since < %(before)s AND NOT EXISTS (SELECT FROM listed WHERE name = f.name_digest)
)
SELECT min(number) - 1 AS position FROM listed AS l WHERE NOT EXISTS (
    SELECT FROM {ws}.import_source_files AS f WHERE source_ref = %(ref)s
      AND name_digest = l.name AND version_digest = l.version
)

-- import_sources.add_files
-- Store that files of a source were imported.
INSERT INTO {ws}.import_source_files (source_ref, name_digest, version_digest)
SELECT s.ref, file.name, file.version
FROM unnest(%(names)s::uuid[], %(versions)s::uuid[]) AS file (name, version)
JOIN {ws}.import_sources AS s ON s.ref = %(ref)s
ON CONFLICT (source_ref, name_digest) DO UPDATE SET version_digest = excluded.version_digest

-- import_sources.set_mark
-- Store how far a source was imported.
UPDATE {ws}.import_sources SET mark = %(mark)s WHERE ref = %(ref)s
