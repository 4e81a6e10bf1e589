-- long_jobs.list
-- The newest jobs of each kind that users wait for, those that run first.
SELECT each.*, count(*) FILTER (WHERE finished_at IS NULL) OVER ()::integer AS unfinished FROM (
    SELECT kind, ref, name, NULL AS friendly_id, each.state, done, total, error, each.started_at,
        each.finished_at, actor
    FROM (
        SELECT * FROM {ws}.batches WHERE (entity <> 'batch' OR undo ? 'state') AND state <> 'uploading'
        ORDER BY created_at DESC, ref LIMIT %(limit)s
    ) AS batch, LATERAL (
        SELECT 'import' AS kind, coalesce(file_options ->> 'name', entity) AS name,
            CASE state WHEN 'file_uploaded' THEN 'waiting' WHEN 'processing' THEN 'running'
                WHEN 'success' THEN 'done'
                ELSE CASE WHEN fault IS NULL AND records > failed THEN 'partly_done' ELSE 'failed' END
            END AS state,
            line AS done, (file_options ->> 'lines')::bigint AS total,
            CASE WHEN fault IS NULL AND failed > 0 THEN
                CASE failed WHEN records THEN 'All records were refused.'
                    WHEN 1 THEN '1 record was refused.' ELSE failed || ' records were refused.' END
            ELSE fault END AS error,
            created_at AS started_at, batch.finished_at
        WHERE entity <> 'batch'
        UNION ALL
        SELECT 'undo', coalesce(file_options ->> 'name', entity),
            CASE undo ->> 'state' WHEN 'checking' THEN 'running' WHEN 'undoing' THEN 'running'
                WHEN 'refused' THEN 'failed' ELSE undo ->> 'state'
            END,
            NULL, NULL, undo ->> 'error', modified_at, (undo ->> 'finished_at')::timestamptz
        WHERE undo ? 'state'
    ) AS each
    UNION ALL (
        SELECT 'export', execution.ref, export.name, export.friendly_id,
            CASE status WHEN 'PENDING_SEGMENTATION' THEN 'waiting' WHEN 'PENDING_EMR_JOB' THEN 'running'
                WHEN 'SUCCESS' THEN 'done' ELSE 'failed'
            END,
            NULL, NULL, coalesce(error, errors[1], delivery_error), requested_at, finished_at,
            export.modified_by
        FROM {ws}.export_executions AS execution
        JOIN {ws}.exports AS export ON export.ref = export_ref
        ORDER BY requested_at DESC, execution.ref LIMIT %(limit)s
    )
    UNION ALL (
        SELECT 'file_export', ref, entity, NULL,
            CASE state WHEN 'writing' THEN 'running' WHEN 'removed' THEN 'done' ELSE state END,
            records, NULL, fault, created_at, finished_at, actor
        FROM {ws}.file_exports ORDER BY created_at DESC, ref LIMIT %(limit)s
    )
    UNION ALL (
        SELECT 'segment', segment.ref, segment.name, segment.friendly_id,
            CASE state WHEN 'RUNNING' THEN 'running' WHEN 'FAILED' THEN 'failed' ELSE 'done' END,
            NULL, NULL, run.error, run.started_at, run.finished_at, segment.modified_by
        FROM {ws}.segment_runs AS run JOIN {ws}.segments AS segment ON segment.ref = segment_ref
        WHERE kind = 'PUBLISH' ORDER BY run.started_at DESC, run.ref LIMIT %(limit)s
    )
    UNION ALL (
        SELECT 'identity_rules', ref, NULL, NULL,
            CASE WHEN state IN ('waiting', 'done', 'failed') THEN state ELSE 'running' END,
            done, nullif(total, 0), error, created_at, finished_at, actor
        FROM {ws}.identity_jobs ORDER BY created_at DESC LIMIT %(limit)s
    )
    UNION ALL (
        SELECT 'demo', ref, NULL, NULL, state, done, total, error, created_at, finished_at, actor
        FROM {ws}.demo_loads ORDER BY created_at DESC LIMIT %(limit)s
    )
    UNION ALL (
        SELECT lower(action), ref, (SELECT name FROM {ws}.static_lists AS l WHERE l.ref = action.list_ref), NULL,
            CASE state WHEN 'QUEUED' THEN 'waiting' WHEN 'RUNNING' THEN 'running' WHEN 'SUCCESS' THEN 'done'
                ELSE 'failed'
            END,
            CASE WHEN state = 'RUNNING' THEN total - (
                SELECT count(*) FROM {ws}.bulk_action_guests AS q WHERE q.action_ref = action.ref
            ) END,
            total, error, created_at, finished_at, actor
        FROM {ws}.bulk_actions AS action WHERE is_queued ORDER BY created_at DESC, ref LIMIT %(limit)s
    )
) AS each
ORDER BY finished_at IS NOT NULL, started_at DESC, ref LIMIT %(limit)s

-- long_jobs.start_demo
-- Insert a load of demo data; no row while another one is unfinished.
INSERT INTO {ws}.demo_loads (ref, state, total, actor, created_at)
VALUES (%(ref)s, 'waiting', %(total)s, %(actor)s, %(now)s)
ON CONFLICT DO NOTHING
RETURNING ref, state, done, total

-- long_jobs.begin_demo
-- Mark a load of demo data as running; no row if it already began.
UPDATE {ws}.demo_loads SET state = 'running' WHERE ref = %(ref)s AND state = 'waiting'
RETURNING total

-- long_jobs.count_demo
-- Store the progress of a load of demo data.
UPDATE {ws}.demo_loads SET done = %(done)s WHERE ref = %(ref)s

-- long_jobs.end_demo
-- Store the end of a load of demo data.
UPDATE {ws}.demo_loads SET state = CASE WHEN %(error)s::text IS NULL THEN 'done' ELSE 'failed' END,
    error = %(error)s, finished_at = %(now)s
WHERE ref = %(ref)s AND finished_at IS NULL

-- long_jobs.note_mail
-- Store that a failure of a job is reported by e-mail; no row if it is already. `job` is a digest of
-- the job and the time of the failure.
INSERT INTO {ws}.failure_mails (job_ref, queued_at) VALUES (%(job)s, %(now)s) ON CONFLICT DO NOTHING

-- long_jobs.forget_mails
-- Delete what was stored about messages that were queued before an instant.
DELETE FROM {ws}.failure_mails WHERE queued_at < %(before)s
