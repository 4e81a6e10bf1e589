-- jobs.defer
-- Queue a job in this transaction.
SELECT unnest(jobs.procrastinate_defer_jobs_v1(ARRAY[ROW(
    'default', %(task)s, 0, %(lock)s, NULL, %(args)s, %(at)s
)::jobs.procrastinate_job_to_defer_v1])) AS id

-- jobs.list
-- The newest jobs, whatever became of them.
SELECT id, task_name AS task, status::text, attempts, scheduled_at,
    args ->> 'workspace' AS workspace
FROM jobs.procrastinate_jobs
WHERE %(status)s::text IS NULL OR status::text = %(status)s
ORDER BY id DESC LIMIT %(limit)s
