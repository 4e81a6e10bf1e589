-- batches.columns
-- What is read of a batch.
ref, holds, state, checksum, size, about, line, records, failed, outcomes, revision, fault, kept,
actor, created_at, modified_at, finished_at

-- batches.allocate
-- A new batch; no row when its ref is taken.
INSERT INTO {ws}.batches
    (ref, holds, state, checksum, size, about, source_key, actor, created_at, modified_at)
VALUES (%(ref)s, %(holds)s, %(state)s, %(checksum)s, %(size)s, %(about)s, %(source_key)s,
    %(actor)s, %(now)s, %(now)s)
ON CONFLICT (ref) DO NOTHING
RETURNING {columns}

-- batches.fetch
-- One batch.
SELECT {columns} FROM {ws}.batches WHERE ref = %(ref)s

-- batches.lock
-- One batch, held until the transaction ends.
SELECT {columns} FROM {ws}.batches WHERE ref = %(ref)s FOR NO KEY UPDATE

-- batches.of_source
-- The newest import of a file that did not come to its end: one that is unfinished, or was
-- interrupted.
SELECT {columns} FROM {ws}.batches
WHERE source_key = %(source_key)s AND (finished_at IS NULL OR about ? 'interrupted')
ORDER BY created_at DESC LIMIT 1

-- batches.reopen
-- An interrupted import goes on.
UPDATE {ws}.batches SET state = 'processing', fault = NULL, finished_at = NULL,
    about = about - 'interrupted', modified_at = %(now)s
WHERE ref = %(ref)s
RETURNING {columns}

-- batches.abandon
-- An import of a file is not gone on with: it is imported from its start.
UPDATE {ws}.batches SET state = 'error', fault = 'begun again', about = about - 'interrupted',
    finished_at = %(now)s, modified_at = %(now)s
WHERE ref = %(ref)s

-- batches.silent
-- Imports of a command about which nothing was noted for a while.
SELECT ref, line, records, source_key FROM {ws}.batches
WHERE finished_at IS NULL AND NOT kept AND state = 'processing' AND modified_at < %(before)s
ORDER BY created_at, ref

-- batches.interrupt
-- An import whose command has ended before its file did.
UPDATE {ws}.batches SET state = 'error', fault = %(fault)s, finished_at = %(now)s,
    modified_at = %(now)s, about = about || '{"interrupted": true}'
WHERE ref = %(ref)s AND finished_at IS NULL

-- batches.waits
-- Why a batch cannot go on for now.
UPDATE {ws}.batches SET fault = %(fault)s, modified_at = %(now)s
WHERE ref = %(ref)s AND finished_at IS NULL

-- batches.list
-- A page of batches or imports, newest first, each row with the number of all.
SELECT {columns}, count(*) OVER () AS total FROM {ws}.batches
WHERE (holds = 'batch') = %(envelopes)s AND created_at > %(after)s AND created_at < %(before)s
  AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s::text[]))
ORDER BY created_at DESC, ref LIMIT %(limit)s OFFSET %(offset)s

-- batches.set_state
-- Move a batch on.
UPDATE {ws}.batches
SET state = %(state)s, modified_at = %(now)s, kept = %(kept)s,
    fault = %(fault)s::text,
    finished_at = CASE WHEN %(finished)s THEN %(now)s ELSE finished_at END
WHERE ref = %(ref)s
RETURNING {columns}

-- batches.describe
-- How the file of an import is made, told before it is applied; no row once it is.
UPDATE {ws}.batches SET about = %(about)s, modified_at = %(now)s
WHERE ref = %(ref)s AND holds <> 'batch' AND state = 'uploading'
RETURNING {columns}

-- batches.progress
-- What a chunk of records did, written in the transaction that did it; no row when its file was
-- written again meanwhile, or the chunk noted already.
UPDATE {ws}.batches AS b
SET line = %(line)s, records = records + %(records)s, failed = failed + %(failed)s,
    modified_at = %(now)s, outcomes = (
        SELECT coalesce(jsonb_object_agg(name, many), '{}') FROM (
            SELECT name, sum(many::bigint) AS many FROM (
                SELECT * FROM jsonb_each_text(b.outcomes)
                UNION ALL SELECT * FROM jsonb_each_text(%(outcomes)s)
            ) AS each (name, many) GROUP BY name
        ) AS summed
    )
WHERE ref = %(ref)s AND revision = %(revision)s AND line < %(first)s
RETURNING {columns}

-- batches.forget_failures
-- Forget what failed in a batch.
DELETE FROM {ws}.batch_failures WHERE batch_ref = %(ref)s

-- batches.begin_again
-- A batch as it was before its first record.
UPDATE {ws}.batches SET line = 0, records = 0, failed = 0, outcomes = '{}' WHERE ref = %(ref)s

-- batches.unfinished
-- Batches whose file is here and not applied to its end.
SELECT ref FROM {ws}.batches
WHERE finished_at IS NULL AND kept AND state IN ('file_uploaded', 'processing')
ORDER BY created_at, ref

-- batches.claim
-- Whether this connection may apply a batch: one does, until it lets go or breaks.
SELECT pg_try_advisory_lock(%(lock)s) AS mine

-- batches.let_go
-- Let another connection apply it.
SELECT pg_advisory_unlock(%(lock)s)

-- batches.begin_chunk
-- The statements of a chunk may take their time, and look things up by index however empty the
-- tables were when they were planned. The identity rules stay those of the version until it ends.
SELECT version, set_config('statement_timeout', '0', true), set_config('enable_seqscan', 'off', true)
FROM {ws}.identity_settings FOR SHARE

-- batches.copy_failures
-- Records that failed.
COPY {ws}.batch_failures (batch_ref, line, ref, code, message, errors) FROM STDIN (FORMAT binary)

-- batches.failures
-- The next records that failed, by line.
SELECT line, ref, code, message, errors FROM {ws}.batch_failures
WHERE batch_ref = %(ref)s AND line > %(after)s ORDER BY line LIMIT %(limit)s

-- batches.forgettable
-- Batches so old that nobody asks for them, and allocated ones that nothing was uploaded to.
SELECT ref, kept FROM {ws}.batches
WHERE created_at < %(before)s AND (finished_at IS NOT NULL OR state = 'uploading')

-- batches.forget
-- Forget a batch and what failed in it.
DELETE FROM {ws}.batches WHERE ref = %(ref)s
-- batches.discarded
-- The file of a batch is gone.
UPDATE {ws}.batches SET kept = false WHERE ref = %(ref)s

-- batches.flush_later
-- What this connection commits is safe once the next one that waits for the disk is.
SELECT set_config('synchronous_commit', 'off', false)

-- batches.flush_at_once
-- Each commit waits for the disk again.
SELECT set_config('synchronous_commit', 'on', false)

-- batches.rewritten
-- The file of a locked batch was written again.
UPDATE {ws}.batches SET revision = revision + 1 WHERE ref = %(ref)s
