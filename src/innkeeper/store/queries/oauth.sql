-- oauth.create
-- A new client; its secret is stored as SHA-256 only.
INSERT INTO innkeeper.oauth_clients
    (client_id, secret_sha256, workspace, client_key, name, created_at)
VALUES (%(client_id)s, %(secret_sha256)s, %(workspace)s, %(client_key)s, %(name)s, %(now)s)

-- oauth.find
-- A client that has not been revoked.
SELECT client_id, secret_sha256, workspace, client_key, name FROM innkeeper.oauth_clients
WHERE client_id = %(client_id)s AND revoked_at IS NULL

-- oauth.touch
-- Note that a client got a token.
UPDATE innkeeper.oauth_clients SET last_used_at = %(now)s WHERE client_id = %(client_id)s

-- oauth.list
-- Every client, oldest first, without secrets.
SELECT client_id, workspace, client_key, name, created_at, last_used_at, revoked_at
FROM innkeeper.oauth_clients
WHERE %(workspace)s::text IS NULL OR workspace = %(workspace)s
ORDER BY created_at, client_id

-- oauth.revoke
-- End a client; no row when it does not exist or has ended.
UPDATE innkeeper.oauth_clients SET revoked_at = %(now)s
WHERE client_id = %(client_id)s AND revoked_at IS NULL

-- oauth.issuer
-- Whether who asked for a signed link, an API key or an OAuth client, has not been revoked.
SELECT FROM innkeeper.api_keys WHERE client_key = %(issuer)s AND revoked_at IS NULL
UNION ALL
SELECT FROM innkeeper.oauth_clients WHERE client_id = %(issuer)s AND revoked_at IS NULL
LIMIT 1

-- oauth.key_of
-- The oldest API key of a workspace: what answers call it.
SELECT client_key FROM innkeeper.api_keys
WHERE workspace = %(workspace)s AND revoked_at IS NULL ORDER BY created_at, client_key LIMIT 1
