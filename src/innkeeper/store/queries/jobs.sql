-- jobs.defer
-- Queue a job in this transaction.
SELECT unnest(jobs.procrastinate_defer_jobs_v1(ARRAY[ROW(
    %(queue)s, %(task)s, 0, %(lock)s, NULL, %(args)s, %(at)s
)::jobs.procrastinate_job_to_defer_v1])) AS id

-- jobs.defer_once
-- Queue a job in this transaction, unless a job with its lock is pending or running.
SELECT unnest(jobs.procrastinate_defer_jobs_v1(ARRAY[ROW(
    %(queue)s, %(task)s, 0, %(lock)s, NULL, %(args)s, NULL
)::jobs.procrastinate_job_to_defer_v1])) AS id
WHERE NOT EXISTS (
    SELECT FROM jobs.procrastinate_jobs WHERE lock = %(lock)s AND status IN ('todo', 'doing')
)

-- jobs.is_running
-- Whether a job with a lock is running.
SELECT EXISTS (
    SELECT FROM jobs.procrastinate_jobs WHERE lock = %(lock)s AND status = 'doing'
) AS is_running

-- jobs.list
-- The newest jobs of any status.
SELECT id, task_name AS task, status::text, attempts, scheduled_at,
    args ->> 'workspace' AS workspace,
    (
        SELECT max(at) FROM jobs.procrastinate_events AS event
        WHERE event.job_id = job.id AND event.type IN ('succeeded', 'failed', 'aborted', 'cancelled')
    ) AS finished_at
FROM jobs.procrastinate_jobs AS job
WHERE %(status)s::text IS NULL OR status::text = %(status)s
ORDER BY id DESC LIMIT %(limit)s

-- jobs.pending
-- One argument of each pending or running job of a task of this workspace.
SELECT args ->> %(member)s AS ref FROM jobs.procrastinate_jobs
WHERE status IN ('todo', 'doing') AND task_name = %(task)s AND args ->> 'workspace' = %(workspace)s

-- jobs.counts
-- Count the jobs that are due, running or failed.
SELECT count(*) FILTER (
        WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
    ) AS due,
    count(*) FILTER (WHERE status = 'doing') AS running,
    count(*) FILTER (WHERE status = 'failed') AS failed
FROM jobs.procrastinate_jobs WHERE status IN ('todo', 'doing', 'failed')

-- jobs.last
-- The newest job.
SELECT coalesce(max(id), 0) AS id FROM jobs.procrastinate_jobs

-- jobs.left
-- Whether some workers run a job or any job is due. Ignores periodic jobs that were queued after
-- `last`, since there is always another, and jobs behind one with the same lock that is not due.
SELECT EXISTS (
    SELECT FROM jobs.procrastinate_jobs WHERE status = 'doing' AND worker_id = ANY (%(workers)s)
) OR EXISTS (
    SELECT FROM jobs.procrastinate_jobs AS job
    WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
        AND (queueing_lock IS NULL OR id <= %(last)s)
        AND NOT EXISTS (
            SELECT FROM jobs.procrastinate_jobs AS earlier
            WHERE earlier.lock = job.lock AND earlier.id < job.id
                AND earlier.status = 'todo' AND earlier.scheduled_at > now()
        )
) AS any

-- jobs.lock_worker
-- Take the lock of a live worker for the lifetime of this connection.
SELECT pg_try_advisory_lock(%(locks)s, %(worker)s::integer)

-- jobs.beat
-- Store a heartbeat of some workers.
UPDATE jobs.procrastinate_workers SET last_heartbeat = now() WHERE id = ANY (%(workers)s)

-- jobs.list_unlocked_workers
-- Workers whose locks no connection holds, with their last heartbeats.
SELECT id, last_heartbeat FROM jobs.procrastinate_workers AS worker
WHERE NOT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %(locks)s AND objid::bigint = worker.id
        AND objsubid = 2
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)

-- jobs.lock_dead_worker
-- A worker without its lock and without a heartbeat since; locked until the transaction ends.
SELECT id FROM jobs.procrastinate_workers
WHERE id = %(worker)s AND last_heartbeat = %(at)s
    AND pg_try_advisory_xact_lock(%(locks)s, %(worker)s::integer)
FOR UPDATE

-- jobs.requeue
-- Queue the running jobs of a worker again, or those without worker, and notify waiting workers. A
-- periodic job whose next run is pending is aborted instead: two runs must not be pending.
WITH requeued AS (
    UPDATE jobs.procrastinate_jobs AS job
    SET attempts = attempts + 1, scheduled_at = NULL, abort_requested = false,
        status = (CASE WHEN abort_requested OR EXISTS (
            SELECT FROM jobs.procrastinate_jobs AS next
            WHERE next.queueing_lock = job.queueing_lock AND next.status = 'todo'
        ) THEN 'aborted' ELSE 'todo' END)::jobs.procrastinate_job_status
    WHERE status = 'doing' AND worker_id IS NOT DISTINCT FROM %(worker)s
    RETURNING id, task_name, queue_name
)
SELECT id, task_name, pg_notify(
    'procrastinate_queue_v1#' || queue_name,
    json_build_object('type', 'job_inserted', 'job_id', id)::text
) FROM requeued

-- jobs.delete_worker
-- Delete a worker.
DELETE FROM jobs.procrastinate_workers WHERE id = %(worker)s
