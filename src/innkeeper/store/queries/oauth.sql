-- oauth.create
-- Insert a client; its secret is stored as SHA-256 only.
INSERT INTO innkeeper.oauth_clients
    (client_id, secret_sha256, workspace, client_key, name, created_at)
VALUES (%(client_id)s, %(secret_sha256)s, %(workspace)s, %(client_key)s, %(name)s, %(now)s)

-- oauth.find
-- A client that is not revoked.
SELECT client_id, secret_sha256, workspace, client_key, name FROM innkeeper.oauth_clients
WHERE client_id = %(client_id)s AND revoked_at IS NULL

-- oauth.touch
-- Store when a client got a token.
UPDATE innkeeper.oauth_clients SET last_used_at = %(now)s WHERE client_id = %(client_id)s

-- oauth.list
-- Every client, oldest first, without secrets.
SELECT client_id, workspace, client_key, name, created_at, last_used_at, revoked_at
FROM innkeeper.oauth_clients
WHERE %(workspace)s::text IS NULL OR workspace = %(workspace)s
ORDER BY created_at, client_id

-- oauth.revoke
-- Revoke a client; no row if it does not exist or is revoked.
UPDATE innkeeper.oauth_clients SET revoked_at = %(now)s
WHERE client_id = %(client_id)s AND revoked_at IS NULL

-- oauth.issuer
-- One row if the API key or OAuth client that requested a signed link is not revoked.
SELECT FROM innkeeper.api_keys WHERE client_key = %(issuer)s AND revoked_at IS NULL
UNION ALL
SELECT FROM innkeeper.oauth_clients WHERE client_id = %(issuer)s AND revoked_at IS NULL
LIMIT 1

-- oauth.key_of
-- The oldest API key of a workspace, which responses contain as its client key.
SELECT client_key FROM innkeeper.api_keys
WHERE workspace = %(workspace)s AND revoked_at IS NULL ORDER BY created_at, client_key LIMIT 1
