-- exports.columns
-- What is read of an export.
ref, friendly_id, name, segment_ref, definition_type, shape, schedule, next_at, destination,
webhook, webhook_secret, modified_by, created_at, modified_at

-- exports.create
-- A new export; no row when its friendly id is taken.
INSERT INTO {ws}.exports
    (ref, friendly_id, name, segment_ref, definition_type, shape, schedule, next_at, destination,
     webhook, webhook_secret, modified_by, created_at, modified_at)
VALUES (%(ref)s, %(friendly_id)s, %(name)s, %(segment)s, %(definition_type)s, %(shape)s,
    %(schedule)s, %(next_at)s, %(destination)s, %(webhook)s, %(webhook_secret)s, %(actor)s,
    %(now)s, %(now)s)
ON CONFLICT (friendly_id) DO NOTHING
RETURNING {columns}

-- exports.rewrite
-- Other settings of an export.
UPDATE {ws}.exports
SET name = %(name)s, segment_ref = %(segment)s, definition_type = %(definition_type)s,
    shape = %(shape)s, schedule = %(schedule)s, next_at = %(next_at)s,
    destination = %(destination)s, webhook = %(webhook)s, webhook_secret = %(webhook_secret)s,
    modified_by = %(actor)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE ref = %(ref)s
RETURNING {columns}

-- exports.fetch
-- One export by ref or friendly id.
SELECT {columns} FROM {ws}.exports WHERE ref = %(ref)s OR friendly_id = %(friendly_id)s

-- exports.lock
-- One export by ref, held until the transaction ends.
SELECT {columns} FROM {ws}.exports WHERE ref = %(ref)s FOR NO KEY UPDATE

-- exports.list
-- Every export, newest first.
SELECT {columns} FROM {ws}.exports ORDER BY created_at DESC, ref

-- exports.of_segment
-- The exports that read a segment.
SELECT friendly_id, name FROM {ws}.exports WHERE segment_ref = %(segment)s
ORDER BY name, friendly_id

-- exports.leave_source
-- The exports of a segment that is deleted have no source, and no next run, until one is chosen.
UPDATE {ws}.exports SET segment_ref = NULL, next_at = NULL, modified_by = %(actor)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE segment_ref = %(segment)s
RETURNING friendly_id, segment_ref

-- exports.delete
-- Remove an export with its executions.
DELETE FROM {ws}.exports WHERE ref = %(ref)s

-- exports.due
-- The export that is due the longest, of those after a time; held until the transaction ends.
SELECT {columns} FROM {ws}.exports
WHERE next_at <= %(now)s AND (next_at, ref) > (%(after)s::timestamptz, %(after_ref)s::uuid)
ORDER BY next_at, ref LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED

-- exports.schedule
-- When an export runs next.
UPDATE {ws}.exports SET next_at = %(next_at)s WHERE ref = %(ref)s

-- exports.execution
-- What is read of an execution.
ref, export_ref, execution_type, definition_type, segment_execution_type, status, sequence,
snapshot, total, matched, not_matched, added, removed, errors, dataset_at, requested_at,
started_at, finished_at, attempts, error, next_attempt_at, delivered_at, delivery_attempts,
delivery_error, delivery_next_at, shape

-- exports.begin
-- A new execution, which waits to be run.
INSERT INTO {ws}.export_executions
    (ref, export_ref, execution_type, definition_type, segment_execution_type, status,
     requested_at)
VALUES (%(ref)s, %(export)s, %(execution_type)s, %(definition_type)s, %(segment_execution_type)s,
    'PENDING_SEGMENTATION', %(now)s)
RETURNING {execution}

-- exports.started
-- An execution that is being run.
UPDATE {ws}.export_executions
SET started_at = %(now)s, status = 'PENDING_EMR_JOB', next_attempt_at = NULL
WHERE ref = %(ref)s

-- exports.put_off
-- An execution that could not go on, and when it is tried again.
UPDATE {ws}.export_executions
SET attempts = %(attempts)s, error = %(error)s, next_attempt_at = %(at)s
WHERE ref = %(ref)s

-- exports.find_execution
-- One execution.
SELECT {execution} FROM {ws}.export_executions WHERE ref = %(ref)s

-- exports.executions
-- Executions of an export, newest first.
SELECT {execution} FROM {ws}.export_executions WHERE export_ref = %(export)s
ORDER BY requested_at DESC, ref LIMIT %(limit)s

-- exports.latest
-- The last good execution of an export.
SELECT {execution} FROM {ws}.export_executions
WHERE export_ref = %(export)s AND status = 'SUCCESS'
ORDER BY finished_at DESC, ref LIMIT 1

-- exports.finish
-- How an execution ended.
UPDATE {ws}.export_executions SET status = %(status)s, sequence = %(sequence)s,
    snapshot = %(snapshot)s, total = %(total)s, matched = %(matched)s,
    not_matched = %(not_matched)s, added = %(added)s, removed = %(removed)s, errors = %(errors)s,
    dataset_at = %(dataset_at)s, shape = %(shape)s, finished_at = %(now)s, error = NULL, next_attempt_at = NULL
WHERE ref = %(ref)s
RETURNING {execution}

-- exports.add_file
-- A file of an execution, and who is in it, row by row.
INSERT INTO {ws}.export_files (execution_ref, number, name, delta_action, rows, bytes, guests)
VALUES (%(execution)s, %(number)s, %(name)s, %(delta_action)s, %(rows)s, %(bytes)s,
    %(guests)s::uuid[])

-- exports.files
-- The files of an execution.
SELECT number, name, delta_action, rows, bytes, delivered FROM {ws}.export_files
WHERE execution_ref = %(execution)s ORDER BY number

-- exports.members
-- Who was exported by the last delta.
SELECT guest_ref::text AS guest FROM {ws}.export_members WHERE export_ref = %(export)s

-- exports.forget_members
-- Who was exported by a delta and is a member no more.
DELETE FROM {ws}.export_members
WHERE export_ref = %(export)s AND guest_ref = ANY (%(guests)s::uuid[])

-- exports.note_members
-- Who is exported by a delta for the first time.
INSERT INTO {ws}.export_members (export_ref, guest_ref)
SELECT %(export)s, unnest(%(guests)s::uuid[]) ON CONFLICT DO NOTHING

-- exports.delivering
-- How far the delivery of a file is; nothing when another was written in its place.
UPDATE {ws}.export_files SET delivered = %(delivered)s
WHERE execution_ref = %(execution)s AND number = %(number)s AND name = %(name)s

-- exports.holding
-- Files that hold some guests, and those with one to be removed that they are in place of.
SELECT execution_ref, number FROM {ws}.export_files
WHERE guests && %(guests)s::uuid[] OR replaced IS NOT NULL ORDER BY execution_ref, number

-- exports.lock_file
-- One file, how it was made, and the rows of some guests counted from 0; held until the transaction
-- ends.
SELECT f.name, f.replaced, x.shape, ARRAY(
    SELECT (place - 1)::integer FROM unnest(f.guests) WITH ORDINALITY AS each (guest, place)
    WHERE guest = ANY (%(guests)s::uuid[]) ORDER BY place
) AS places
FROM {ws}.export_files AS f JOIN {ws}.export_executions AS x ON x.ref = f.execution_ref
WHERE f.execution_ref = %(execution)s AND f.number = %(number)s FOR UPDATE OF f

-- exports.rewritten
-- Another file in place of a locked one, without some rows; a delivery goes on where it was.
UPDATE {ws}.export_files AS f SET name = %(name)s, bytes = %(bytes)s, replaced = f.name,
    rows = f.rows - cardinality(%(places)s::integer[]),
    delivered = f.delivered - (
        SELECT count(*) FROM unnest(%(places)s::integer[]) AS place WHERE place < f.delivered
    ),
    guests = ARRAY(
        SELECT guest FROM unnest(f.guests) WITH ORDINALITY AS each (guest, place)
        WHERE place - 1 <> ALL (%(places)s::integer[]) ORDER BY place
    )
WHERE f.execution_ref = %(execution)s AND f.number = %(number)s

-- exports.replaced
-- The file that this one is in place of is gone.
UPDATE {ws}.export_files SET replaced = NULL
WHERE execution_ref = %(execution)s AND number = %(number)s

-- exports.names
-- Where files of audience exports are, and of some one export.
SELECT f.name FROM {ws}.export_files AS f
JOIN {ws}.export_executions AS x ON x.ref = f.execution_ref
WHERE %(export)s::uuid IS NULL OR x.export_ref = %(export)s
UNION ALL
SELECT f.replaced FROM {ws}.export_files AS f
JOIN {ws}.export_executions AS x ON x.ref = f.execution_ref
WHERE f.replaced IS NOT NULL AND (%(export)s::uuid IS NULL OR x.export_ref = %(export)s)

-- exports.delivered
-- Note how a delivery ended.
UPDATE {ws}.export_executions SET delivered_at = %(delivered_at)s,
    delivery_attempts = delivery_attempts + 1, delivery_error = %(error)s,
    delivery_next_at = %(next_at)s
WHERE ref = %(ref)s

-- exports.unfinished
-- Executions that are to be run, oldest first.
SELECT ref, export_ref FROM {ws}.export_executions WHERE finished_at IS NULL
ORDER BY requested_at, ref

-- exports.undelivered
-- Executions that are to be delivered, oldest first: those that are tried again, and those that ran
-- when the export had its destination already and were not tried yet.
SELECT x.ref, x.export_ref FROM {ws}.export_executions AS x
JOIN {ws}.exports AS e ON e.ref = x.export_ref
WHERE x.status = 'SUCCESS' AND x.delivered_at IS NULL AND e.destination IS NOT NULL
    AND (x.delivery_next_at IS NOT NULL OR (
        x.delivery_attempts = 0 AND x.finished_at > coalesce(e.modified_at, e.created_at)
    ))
ORDER BY x.requested_at, x.ref

-- exports.failing
-- Whether the last delivery to a destination, of any execution, failed.
SELECT EXISTS (
    SELECT FROM {ws}.export_executions AS x JOIN {ws}.exports AS e ON e.ref = x.export_ref
    WHERE x.delivery_next_at IS NOT NULL AND e.destination ->> 'url' = %(url)s
) AS failing

-- exports.old
-- Executions whose files are kept no longer.
SELECT f.execution_ref, f.name FROM {ws}.export_files AS f
JOIN {ws}.export_executions AS e ON e.ref = f.execution_ref
WHERE e.finished_at < %(before)s

-- exports.forget_files
-- Files that were removed.
DELETE FROM {ws}.export_files WHERE name = ANY (%(names)s)
