-- demo.disable_synchronous_commit
-- Let the commit of this transaction return before it is on disk.
SET LOCAL synchronous_commit = off

-- demo.analyse
-- Update the statistics of the planner.
ANALYZE

-- demo.add_message
-- Add a message of a webhook that was delivered or cancelled.
INSERT INTO {ws}.webhook_messages (url, secret, body, attempts, due_at, error, created_at, sent_at, failed_at)
SELECT %(url)s, '', '{}', CASE WHEN error IS NULL THEN 1 ELSE 14 END, at, error, at,
    CASE WHEN error IS NULL THEN at END, CASE WHEN error IS NOT NULL THEN at END
FROM (VALUES (%(at)s::timestamptz, %(error)s::text)) AS message (at, error)

-- demo.add_segment_runs
-- Add weekly runs of the Live segments: those of today's members who were guests then.
WITH sizes AS (
    SELECT s.ref, s.revision, at, count(*) FILTER (WHERE g.created_at <= at) AS rows
    FROM {ws}.segments AS s JOIN {ws}.segment_members AS m ON m.segment_ref = s.ref
    JOIN {ws}.guests AS g ON g.ref = m.guest_ref
    CROSS JOIN generate_series(%(first)s::timestamptz, %(last)s, interval '7 days') AS at
    GROUP BY 1, 2, 3
), latest AS (
    UPDATE {ws}.segments AS s SET previous_size = sizes.rows FROM sizes
    WHERE sizes.ref = s.ref AND sizes.at = %(last)s
)
INSERT INTO {ws}.segment_runs (ref, segment_ref, kind, state, engine, revision, rows, started_at, finished_at)
SELECT gen_random_uuid(), ref, 'NIGHTLY', 'SUCCESS', 'duckdb', revision, rows, at, at FROM sizes
