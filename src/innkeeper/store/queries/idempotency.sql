-- idempotency.lock
-- Twins of one request wait here; a statement of its own, so that what follows sees the first.
SELECT pg_advisory_xact_lock(%(lock)s)

-- idempotency.fetch
-- The first answer, unless it is too old to count.
SELECT request_hash, status, location, body FROM {ws}.idempotency
WHERE scope = %(scope)s AND created_at > %(oldest)s

-- idempotency.keep
-- Keep an answer, and drop a few that are too old.
WITH dropped AS (
    DELETE FROM {ws}.idempotency WHERE scope IN (
        SELECT scope FROM {ws}.idempotency
        WHERE created_at <= %(oldest)s AND scope <> %(scope)s ORDER BY created_at LIMIT 10
        FOR UPDATE SKIP LOCKED
    )
)
INSERT INTO {ws}.idempotency (scope, request_hash, status, location, body, created_at)
VALUES (%(scope)s, %(request_hash)s, %(status)s, %(location)s, %(body)s, %(now)s)
ON CONFLICT (scope) DO UPDATE SET request_hash = excluded.request_hash,
    status = excluded.status, location = excluded.location, body = excluded.body,
    created_at = excluded.created_at
