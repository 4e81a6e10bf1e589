-- idempotency.lock
-- Lock a scope: equal requests wait here. A separate statement, so that the next one sees the
-- response of the first request.
SELECT pg_advisory_xact_lock(%(lock)s)

-- idempotency.fetch
-- The stored first response, unless it has expired.
SELECT request_hash, status, location, body FROM {ws}.idempotency
WHERE scope = %(scope)s AND created_at > %(oldest)s

-- idempotency.store
-- Store a response, and delete a few that have expired.
WITH deleted AS (
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
