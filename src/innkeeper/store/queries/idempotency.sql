-- idempotency.fetch
-- The stored first responses of some scopes, unless they have expired.
SELECT scope, request_hash, status, location, body FROM {ws}.idempotency
WHERE scope = ANY (%(scopes)s::uuid[]) AND created_at > %(oldest)s

-- idempotency.store
-- Store responses, and delete a few that have expired.
WITH deleted AS (
    DELETE FROM {ws}.idempotency WHERE scope IN (
        SELECT scope FROM {ws}.idempotency
        WHERE created_at <= %(oldest)s AND scope <> ALL (%(scopes)s::uuid[]) ORDER BY created_at LIMIT 10
        FOR UPDATE SKIP LOCKED
    )
)
INSERT INTO {ws}.idempotency (scope, request_hash, status, location, body, created_at)
SELECT scope, request_hash, status, location, body, %(now)s
FROM unnest(%(scopes)s::uuid[], %(hashes)s::uuid[], %(statuses)s::integer[], %(locations)s::text[],
    %(bodies)s::bytea[]) AS response (scope, request_hash, status, location, body)
ON CONFLICT (scope) DO UPDATE SET request_hash = excluded.request_hash,
    status = excluded.status, location = excluded.location, body = excluded.body,
    created_at = excluded.created_at
