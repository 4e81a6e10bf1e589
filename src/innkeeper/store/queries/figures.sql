-- figures.stored
-- The numbers of guests, of orders, of events (estimated) and of valid keys of a workspace.
SELECT (SELECT coalesce(sum(guests), 0)::bigint FROM {ws}.guest_counts) AS guests,
    (SELECT coalesce(sum(orders), 0)::bigint FROM {ws}.order_counts) AS orders,
    (
        SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = '{ws}.events'::regclass
    ) AS events,
    (
        SELECT count(*) FROM innkeeper.api_keys WHERE workspace = %(workspace)s
            AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
    ) AS keys

-- figures.totals
-- Totals of the workspace.
SELECT (SELECT coalesce(sum(orders), 0) FROM {ws}.order_counts)::bigint AS orders,
    (SELECT count(*) FROM {ws}.merges WHERE undone_at IS NULL) AS merges,
    (SELECT count(*) FROM {ws}.merges WHERE undone_at IS NOT NULL) AS undone,
    (SELECT count(*) FROM {ws}.quarantine WHERE replayed_at IS NULL) AS quarantined,
    (SELECT count(*) FROM {ws}.sessions WHERE closed_at IS NULL AND expires_at > %(now)s) AS open

-- figures.events
-- Events of the last hour by minute.
SELECT date_trunc('minute', received_at, 'UTC') AS at, count(*) AS number
FROM {ws}.events WHERE at >= %(since)s - interval '1 day' AND received_at >= %(since)s GROUP BY 1

-- figures.merges
-- Merges by period.
SELECT date_trunc(%(unit)s, merged_at AT TIME ZONE 'UTC')::date AS at, count(*) AS number
FROM {ws}.merges WHERE merged_at >= %(since)s AND undone_at IS NULL GROUP BY 1
