-- exports.columns
-- The columns of an export.
ref, friendly_id, name, segment_ref, static_list_ref, definition_type, shape, schedule,
next_at, destination, webhook, webhook_secret, modified_by, created_at, modified_at

-- exports.create
-- Insert an export; no row if its friendly id exists.
INSERT INTO {ws}.exports
    (ref, friendly_id, name, segment_ref, static_list_ref, definition_type, shape, schedule,
     next_at, destination, webhook, webhook_secret, modified_by, created_at, modified_at)
VALUES (%(ref)s, %(friendly_id)s, %(name)s, %(segment)s, %(static_list)s, %(definition_type)s,
    %(shape)s, %(schedule)s, %(next_at)s, %(destination)s, %(webhook)s, %(webhook_secret)s,
    %(actor)s, %(now)s, %(now)s)
ON CONFLICT (friendly_id) DO NOTHING
RETURNING {exports.columns}

-- exports.rewrite
-- Replace the settings of an export.
UPDATE {ws}.exports
SET name = %(name)s, segment_ref = %(segment)s, static_list_ref = %(static_list)s,
    definition_type = %(definition_type)s, shape = %(shape)s, schedule = %(schedule)s, next_at = %(next_at)s,
    destination = %(destination)s, webhook = %(webhook)s, webhook_secret = %(webhook_secret)s,
    modified_by = %(actor)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE ref = %(ref)s
RETURNING {exports.columns}

-- exports.fetch
-- One export by ref or friendly id.
SELECT {exports.columns} FROM {ws}.exports WHERE ref = %(ref)s OR friendly_id = %(friendly_id)s

-- exports.lock
-- One export by ref, locked until the transaction ends.
SELECT {exports.columns} FROM {ws}.exports WHERE ref = %(ref)s FOR NO KEY UPDATE

-- exports.list
-- Every export, newest first.
SELECT {exports.columns} FROM {ws}.exports ORDER BY created_at DESC, ref

-- exports.last_of_segments
-- The export of each segment that ran last, and how many exports the segment has.
SELECT DISTINCT ON (e.segment_ref) e.segment_ref, e.friendly_id, e.name, x.requested_at,
    count(*) OVER (PARTITION BY e.segment_ref) AS exports
FROM {ws}.exports AS e
LEFT JOIN LATERAL (
    SELECT requested_at FROM {ws}.export_executions AS x WHERE x.export_ref = e.ref
    ORDER BY requested_at DESC LIMIT 1
) AS x ON true
WHERE e.segment_ref IS NOT NULL
ORDER BY e.segment_ref, x.requested_at DESC NULLS LAST, e.name

-- exports.of_static_list
-- The exports that read a static list.
SELECT friendly_id, name FROM {ws}.exports WHERE static_list_ref = %(static_list)s

-- exports.of_segment
-- The exports that read a segment.
SELECT friendly_id, name FROM {ws}.exports WHERE segment_ref = %(segment)s
ORDER BY name, friendly_id

-- exports.leave_source
-- Clear the segment and the next run of the exports of a segment that is deleted.
UPDATE {ws}.exports SET segment_ref = NULL, next_at = NULL, modified_by = %(actor)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE segment_ref = %(segment)s
RETURNING friendly_id, segment_ref

-- exports.delete
-- Delete an export with its executions.
DELETE FROM {ws}.exports WHERE ref = %(ref)s

-- exports.due
-- The export that has been due for the longest time, after a position in the order of due times;
-- locked until the transaction ends.
SELECT {exports.columns} FROM {ws}.exports
WHERE next_at <= %(now)s AND (next_at, ref) > (%(after)s::timestamptz, %(after_ref)s::uuid)
ORDER BY next_at, ref LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED

-- exports.schedule
-- Set when an export runs next.
UPDATE {ws}.exports SET next_at = %(next_at)s WHERE ref = %(ref)s

-- exports.execution
-- The columns of an execution.
ref, export_ref, execution_type, definition_type, segment_execution_type, status, sequence,
snapshot, total, matched, not_matched, added, removed, errors, dataset_at, requested_at,
started_at, finished_at, attempts, error, next_attempt_at, delivered_at, delivery_attempts,
delivery_error, delivery_next_at, shape, unsubscribed, left_out

-- exports.begin
-- Insert a pending execution.
INSERT INTO {ws}.export_executions
    (ref, export_ref, execution_type, definition_type, segment_execution_type, status,
     requested_at)
VALUES (%(ref)s, %(export)s, %(execution_type)s, %(definition_type)s, %(segment_execution_type)s,
    'PENDING_SEGMENTATION', %(now)s)
RETURNING {exports.execution}

-- exports.started
-- Mark an execution as running.
UPDATE {ws}.export_executions
SET started_at = %(now)s, status = 'PENDING_EMR_JOB', next_attempt_at = NULL
WHERE ref = %(ref)s

-- exports.put_off
-- Store why an execution could not continue and when the next attempt is.
UPDATE {ws}.export_executions
SET attempts = %(attempts)s, error = %(error)s, next_attempt_at = %(at)s
WHERE ref = %(ref)s

-- exports.find_execution
-- One execution.
SELECT {exports.execution} FROM {ws}.export_executions WHERE ref = %(ref)s

-- exports.executions
-- Executions of an export, newest first.
SELECT {exports.execution} FROM {ws}.export_executions WHERE export_ref = %(export)s
ORDER BY requested_at DESC, ref LIMIT %(limit)s

-- exports.latest
-- The latest successful execution of an export.
SELECT {exports.execution} FROM {ws}.export_executions
WHERE export_ref = %(export)s AND status = 'SUCCESS'
ORDER BY finished_at DESC, ref LIMIT 1

-- exports.finish
-- Store the outcome of an execution.
UPDATE {ws}.export_executions SET status = %(status)s, sequence = %(sequence)s,
    snapshot = %(snapshot)s, total = %(total)s, matched = %(matched)s,
    not_matched = %(not_matched)s, added = %(added)s, removed = %(removed)s, errors = %(errors)s,
    dataset_at = %(dataset_at)s, shape = %(shape)s,
    unsubscribed = %(unsubscribed)s, left_out = %(left_out)s, finished_at = %(now)s, error = NULL, next_attempt_at = NULL
WHERE ref = %(ref)s
RETURNING {exports.execution}

-- exports.add_file
-- Insert a file of an execution with the refs of its guests, row by row.
INSERT INTO {ws}.export_files (execution_ref, number, name, delta_action, rows, bytes, guests)
VALUES (%(execution)s, %(number)s, %(name)s, %(delta_action)s, %(rows)s, %(bytes)s,
    %(guests)s::uuid[])

-- exports.files
-- The files of an execution.
SELECT number, name, delta_action, rows, bytes, delivered FROM {ws}.export_files
WHERE execution_ref = %(execution)s ORDER BY number

-- exports.members
-- The guests of the last delta.
SELECT guest_ref::text AS guest FROM {ws}.export_members WHERE export_ref = %(export)s

-- exports.forget_members
-- Delete guests from the baseline of the next delta.
DELETE FROM {ws}.export_members
WHERE export_ref = %(export)s AND guest_ref = ANY (%(guests)s::uuid[])

-- exports.note_members
-- Add guests to the baseline of the next delta.
INSERT INTO {ws}.export_members (export_ref, guest_ref)
SELECT %(export)s, unnest(%(guests)s::uuid[]) ON CONFLICT DO NOTHING

-- exports.delivering
-- Store how many rows of a file are delivered; no row if another file replaced it.
UPDATE {ws}.export_files SET delivered = %(delivered)s
WHERE execution_ref = %(execution)s AND number = %(number)s AND name = %(name)s

-- exports.holding
-- Files that contain some guests, and files that replaced another that is still to be deleted.
SELECT execution_ref, number FROM {ws}.export_files
WHERE guests && %(guests)s::uuid[] OR replaced_name IS NOT NULL ORDER BY execution_ref, number

-- exports.lock_file
-- One file, its format, and the positions of some guests' rows, counted from 0; locked until the
-- transaction ends.
SELECT f.name, f.replaced_name, x.shape, ARRAY(
    SELECT (row_number - 1)::integer FROM unnest(f.guests) WITH ORDINALITY AS each (guest, row_number)
    WHERE guest = ANY (%(guests)s::uuid[]) ORDER BY row_number
) AS positions
FROM {ws}.export_files AS f JOIN {ws}.export_executions AS x ON x.ref = f.execution_ref
WHERE f.execution_ref = %(execution)s AND f.number = %(number)s FOR UPDATE OF f

-- exports.rewritten
-- Replace a locked file by one without some rows; a delivery continues at the same row.
UPDATE {ws}.export_files AS f SET name = %(name)s, bytes = %(bytes)s, replaced_name = f.name,
    rows = f.rows - cardinality(%(positions)s::integer[]),
    delivered = f.delivered - (
        SELECT count(*) FROM unnest(%(positions)s::integer[]) AS removed (row_index)
        WHERE row_index < f.delivered
    ),
    guests = ARRAY(
        SELECT guest FROM unnest(f.guests) WITH ORDINALITY AS each (guest, row_number)
        WHERE row_number - 1 <> ALL (%(positions)s::integer[]) ORDER BY row_number
    )
WHERE f.execution_ref = %(execution)s AND f.number = %(number)s

-- exports.replaced
-- Record that the file that this one replaced is deleted.
UPDATE {ws}.export_files SET replaced_name = NULL
WHERE execution_ref = %(execution)s AND number = %(number)s

-- exports.names
-- The names of the files of all audience exports, or of one; with files that were replaced.
SELECT f.name FROM {ws}.export_files AS f
JOIN {ws}.export_executions AS x ON x.ref = f.execution_ref
WHERE %(export)s::uuid IS NULL OR x.export_ref = %(export)s
UNION ALL
SELECT f.replaced_name FROM {ws}.export_files AS f
JOIN {ws}.export_executions AS x ON x.ref = f.execution_ref
WHERE f.replaced_name IS NOT NULL AND (%(export)s::uuid IS NULL OR x.export_ref = %(export)s)

-- exports.delivered
-- Store the outcome of an attempt to deliver.
UPDATE {ws}.export_executions SET delivered_at = %(delivered_at)s,
    delivery_attempts = delivery_attempts + 1, delivery_error = %(error)s,
    delivery_next_at = %(next_at)s
WHERE ref = %(ref)s

-- exports.unfinished
-- Executions that are not finished, oldest first.
SELECT ref, export_ref FROM {ws}.export_executions WHERE finished_at IS NULL
ORDER BY requested_at, ref

-- exports.undelivered
-- Executions that are not delivered, oldest first: those with a next attempt, and those without an
-- attempt that finished after the export was last modified.
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
-- Files of executions that finished before a time.
SELECT f.execution_ref, f.name FROM {ws}.export_files AS f
JOIN {ws}.export_executions AS e ON e.ref = f.execution_ref
WHERE e.finished_at < %(before)s

-- exports.forget_files
-- Delete the rows of files that were deleted.
DELETE FROM {ws}.export_files WHERE name = ANY (%(names)s)
