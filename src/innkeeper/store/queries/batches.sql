-- batches.columns
-- The columns that are read of a batch.
ref, entity, state, checksum, size, file_options, line, records, failed, outcomes, revision, fault, is_stored,
left_out, has_rejects, undo, actor, created_at, modified_at, finished_at

-- batches.allocate
-- Create a batch; no row if its ref is in use.
INSERT INTO {ws}.batches
    (ref, entity, state, checksum, size, file_options, source_key, undo,
     actor, created_at, modified_at)
VALUES (%(ref)s, %(entity)s, %(state)s, %(checksum)s, %(size)s, %(file_options)s, %(source_key)s,
    %(undo)s, %(actor)s, %(now)s, %(now)s)
ON CONFLICT (ref) DO NOTHING
RETURNING {batches.columns}

-- batches.fetch
-- One batch.
SELECT {batches.columns} FROM {ws}.batches WHERE ref = %(ref)s

-- batches.lock
-- Lock one batch until the transaction ends.
SELECT {batches.columns} FROM {ws}.batches WHERE ref = %(ref)s FOR NO KEY UPDATE

-- batches.of_source
-- The newest unfinished or interrupted import of a source.
SELECT {batches.columns} FROM {ws}.batches
WHERE source_key = %(source_key)s AND (finished_at IS NULL OR file_options ? 'interrupted')
ORDER BY created_at DESC LIMIT 1

-- batches.reopen
-- Continue an interrupted import.
UPDATE {ws}.batches SET state = 'processing', fault = NULL, finished_at = NULL,
    file_options = file_options - 'interrupted', modified_at = %(now)s
WHERE ref = %(ref)s
RETURNING {batches.columns}

-- batches.abandon
-- Abandon the unfinished import of a file that is imported again from its start.
UPDATE {ws}.batches SET state = 'error', fault = 'started again', file_options = file_options - 'interrupted',
    finished_at = %(now)s, modified_at = %(now)s
WHERE ref = %(ref)s

-- batches.silent
-- Unfinished imports of a command without progress since `before`.
SELECT ref, line, records, source_key FROM {ws}.batches
WHERE finished_at IS NULL AND NOT is_stored AND state = 'processing' AND modified_at < %(before)s
ORDER BY created_at, ref

-- batches.interrupt
-- Finish an import as interrupted: its command ended before the end of its input.
UPDATE {ws}.batches SET state = 'error', fault = %(fault)s, finished_at = %(now)s,
    modified_at = %(now)s, file_options = file_options || '{"interrupted": true}'
WHERE ref = %(ref)s AND finished_at IS NULL

-- batches.set_fault
-- Store why a batch cannot continue for now.
UPDATE {ws}.batches SET fault = %(fault)s, modified_at = %(now)s
WHERE ref = %(ref)s AND finished_at IS NULL

-- batches.list
-- A page of batches or imports, newest first, each row with the total.
SELECT {batches.columns}, count(*) OVER () AS total FROM {ws}.batches
WHERE (entity = 'batch') = %(envelopes)s AND created_at > %(after)s AND created_at < %(before)s
  AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s::text[]))
ORDER BY created_at DESC, ref LIMIT %(limit)s OFFSET %(offset)s

-- batches.set_state
-- Set the state of a batch.
UPDATE {ws}.batches
SET state = %(state)s, modified_at = %(now)s, is_stored = %(has_file)s,
    fault = %(fault)s::text,
    finished_at = CASE WHEN %(finished)s THEN %(now)s ELSE finished_at END
WHERE ref = %(ref)s
RETURNING {batches.columns}

-- batches.describe
-- Store the file layout of an import before it is started; no row once it is started. That somebody was erased
-- since it was created (`batches.forget_rejects`) stays.
UPDATE {ws}.batches SET modified_at = %(now)s,
    file_options = jsonb_strip_nulls(jsonb_build_object('erased', file_options -> 'erased')) || %(file_options)s
WHERE ref = %(ref)s AND entity <> 'batch' AND state = 'uploading'
RETURNING {batches.columns}

-- batches.progress
-- Store the progress of a chunk, in the transaction that applies it. No row if the file was
-- rewritten since it was opened, or if the chunk is counted already.
UPDATE {ws}.batches AS b
SET line = %(line)s, records = records + %(records)s, failed = failed + %(failed)s,
    modified_at = %(now)s, outcomes = (
        SELECT coalesce(jsonb_object_agg(name, many), '{}') FROM (
            SELECT name, sum(many::bigint) AS many FROM (
                SELECT * FROM jsonb_each_text(b.outcomes)
                UNION ALL SELECT * FROM jsonb_each_text(%(outcomes)s)
            ) AS each (name, many) GROUP BY name
        ) AS summed
    ), left_out = CASE WHEN %(left_out)s::jsonb = '{}' THEN left_out ELSE (
        -- Of very many reasons the rarer ones are counted together.
        SELECT jsonb_object_agg(name, many) FROM (
            SELECT CASE WHEN rank <= 100 THEN name ELSE 'other reasons' END AS name,
                sum(many) AS many
            FROM (
                SELECT name, sum(many::bigint) AS many,
                    row_number() OVER (ORDER BY sum(many::bigint) DESC, name) AS rank
                FROM (
                    SELECT * FROM jsonb_each_text(b.left_out)
                    UNION ALL SELECT * FROM jsonb_each_text(%(left_out)s)
                ) AS each (name, many) GROUP BY name
            ) AS ranked GROUP BY 1
        ) AS summed
    ) END
WHERE ref = %(ref)s AND revision = %(revision)s AND line < %(first)s
RETURNING {batches.columns}

-- batches.delete_failures
-- Delete the failures of a batch.
DELETE FROM {ws}.batch_failures WHERE batch_ref = %(ref)s

-- batches.reset
-- Reset the progress of a batch to before its first record.
UPDATE {ws}.batches SET line = 0, records = 0, failed = 0, outcomes = '{}', left_out = '{}'
WHERE ref = %(ref)s

-- batches.unfinished
-- Batches whose file is stored but not applied completely.
SELECT ref FROM {ws}.batches
WHERE finished_at IS NULL AND is_stored AND state IN ('file_uploaded', 'processing')
ORDER BY created_at, ref

-- batches.stored
-- Batches whose file is stored, also those that were not started.
SELECT ref FROM {ws}.batches
WHERE finished_at IS NULL AND (
    is_stored AND state IN ('file_uploaded', 'processing') OR state = 'uploading' AND file_options ? 'name'
)
ORDER BY created_at, ref

-- batches.try_lock
-- Try to lock a batch for this connection; the lock ends with `batches.unlock` or the connection.
SELECT pg_try_advisory_lock(%(lock)s) AS is_locked

-- batches.unlock
-- Unlock a batch for other connections.
SELECT pg_advisory_unlock(%(lock)s)

-- batches.start_chunk
-- Start a chunk: no statement timeout, index lookups even if the tables were empty when statements
-- were planned, a commit that does not wait for the disk (the one that ends the import flushes it too; a
-- crash loses a chunk with its progress), and a lock on the identity rules of the returned version until
-- the chunk ends.
SELECT version, set_config('statement_timeout', '0', true), set_config('enable_seqscan', 'off', true),
    set_config('synchronous_commit', 'off', true)
FROM {ws}.identity_settings FOR SHARE

-- batches.copy_failures
-- Insert records that failed.
COPY {ws}.batch_failures (batch_ref, line, ref, code, message, errors) FROM STDIN (FORMAT binary)

-- batches.failures
-- The next records that failed, by line.
SELECT line, ref, code, message, errors FROM {ws}.batch_failures
WHERE batch_ref = %(ref)s AND line > %(after)s ORDER BY line LIMIT %(limit)s

-- batches.add_options
-- Add members to what is stored of the file of a batch or import.
UPDATE {ws}.batches SET file_options = file_options || %(options)s WHERE ref = %(ref)s
RETURNING {batches.columns}

-- batches.expired
-- Finished batches older than the retention period, and allocated ones without an upload.
SELECT ref, is_stored FROM {ws}.batches
WHERE created_at < %(before)s AND (finished_at IS NOT NULL OR state = 'uploading')

-- batches.delete
-- Delete a batch with its failures.
DELETE FROM {ws}.batches WHERE ref = %(ref)s

-- batches.file_deleted
-- Store that the file of a batch is deleted.
UPDATE {ws}.batches SET is_stored = false WHERE ref = %(ref)s

-- batches.start_events
-- Until `batches.end_events` commits of this connection do not wait for the disk (the next one that does
-- flushes them too), and triggers record what it writes for the undo of an import; none if it is empty.
SELECT set_config('synchronous_commit', 'off', false), set_config('innkeeper.import', %(batch)s, false)

-- batches.end_events
-- Undo `batches.start_events`.
SELECT set_config('synchronous_commit', 'on', false), set_config('innkeeper.import', '', false)

-- batches.expect_rejects
-- Store that the refused rows of a batch are about to be stored as a file; no row if nobody may store them.
UPDATE {ws}.batches SET has_rejects = true WHERE ref = %(ref)s AND NOT file_options ? 'erased'

-- batches.forget_rejects
-- Store that no batch has a file of refused rows any more, and that unfinished ones get none; their refs.
UPDATE {ws}.batches SET has_rejects = false, file_options = file_options || '{"erased": true}'
WHERE has_rejects OR finished_at IS NULL AND entity <> 'batch'
RETURNING ref

-- batches.rewritten
-- Store that the file of a locked batch was rewritten.
UPDATE {ws}.batches SET revision = revision + 1 WHERE ref = %(ref)s
