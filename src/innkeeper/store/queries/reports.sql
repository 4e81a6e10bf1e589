-- reports.merges
-- Merges by period, and how many of them were undone.
SELECT date_trunc(%(unit)s, merged_at AT TIME ZONE %(zone)s)::date AS period, count(*) AS merges,
    count(undone_at) AS undone
FROM {ws}.merges WHERE merged_at >= %(start)s::timestamptz AND merged_at < %(until)s::timestamptz
GROUP BY 1 ORDER BY 1
