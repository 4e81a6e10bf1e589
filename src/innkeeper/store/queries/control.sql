-- control.create_key
-- Insert an API key; its token is stored as SHA-256 only.
INSERT INTO innkeeper.api_keys
    (client_key, token_sha256, workspace, compatibility, name, scopes, created_at, expires_at)
VALUES (%(client_key)s, %(token_sha256)s, %(workspace)s, %(compatibility)s, %(name)s, %(scopes)s,
    %(now)s, %(expires_at)s)

-- control.delete_expiring
-- Delete keys of a workspace that expired, and those that expire before the `most` newest.
DELETE FROM innkeeper.api_keys WHERE workspace = %(workspace)s AND expires_at IS NOT NULL
AND client_key NOT IN (
    SELECT client_key FROM innkeeper.api_keys
    WHERE workspace = %(workspace)s AND expires_at > now()
    ORDER BY expires_at DESC, client_key LIMIT %(most)s
)

-- control.find_key
-- The key of a caller, if it is not revoked and has not expired.
SELECT client_key, token_sha256, workspace, compatibility, name, scopes, created_at, last_used_at,
    expires_at
FROM innkeeper.api_keys
WHERE client_key = %(client_key)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- control.lock_key
-- A key that is not revoked, locked until the transaction ends.
SELECT client_key, token_sha256, workspace, compatibility, name, scopes
FROM innkeeper.api_keys WHERE client_key = %(client_key)s AND revoked_at IS NULL FOR NO KEY UPDATE

-- control.keys_with_digests
-- The keys of a workspace that are not revoked, with the columns of `control.lock_key`.
SELECT client_key, token_sha256, compatibility, scopes
FROM innkeeper.api_keys WHERE workspace = %(workspace)s AND revoked_at IS NULL

-- control.find_alias
-- The key of which a context id is an alias, if it is not revoked.
SELECT k.client_key, token_sha256, workspace, compatibility, name, scopes, k.created_at, last_used_at,
    expires_at
FROM innkeeper.api_keys AS k JOIN innkeeper.client_key_aliases AS a USING (client_key)
WHERE a.alias = %(alias)s AND revoked_at IS NULL

-- control.list_aliases
-- Every alias of a client key.
SELECT alias, client_key, created_at FROM innkeeper.client_key_aliases ORDER BY alias

-- control.lock_alias
-- An alias and its key, locked until the transaction ends.
SELECT alias, client_key FROM innkeeper.client_key_aliases WHERE alias = %(alias)s FOR UPDATE

-- control.set_alias
-- Make a context id an alias of a key.
INSERT INTO innkeeper.client_key_aliases (alias, client_key) VALUES (%(alias)s, %(client_key)s)
ON CONFLICT (alias) DO UPDATE SET client_key = excluded.client_key
RETURNING alias, client_key

-- control.delete_alias
-- Delete an alias of a key.
DELETE FROM innkeeper.client_key_aliases WHERE alias = %(alias)s
RETURNING alias, client_key

-- control.list_keys
-- Every key, or the keys of one workspace, oldest first, without tokens.
SELECT client_key, workspace, compatibility, name, scopes, created_at, last_used_at, revoked_at,
    expires_at
FROM innkeeper.api_keys
WHERE %(workspace)s::text IS NULL OR workspace = %(workspace)s
ORDER BY created_at, client_key

-- control.revoke_key
-- Revoke a key; no row if it does not exist or is revoked.
UPDATE innkeeper.api_keys SET revoked_at = %(now)s
WHERE client_key = %(client_key)s AND revoked_at IS NULL

-- control.rotate_key
-- Replace the token of a key that is not revoked.
UPDATE innkeeper.api_keys SET token_sha256 = %(token_sha256)s
WHERE client_key = %(client_key)s AND revoked_at IS NULL

-- control.set_compatibility
-- Set which API documents apply to the callers of a key that is not revoked.
UPDATE innkeeper.api_keys SET compatibility = %(compatibility)s
WHERE client_key = %(client_key)s AND revoked_at IS NULL

-- control.set_scopes
-- Set the scopes of a key that is not revoked.
UPDATE innkeeper.api_keys SET scopes = %(scopes)s
WHERE client_key = %(client_key)s AND revoked_at IS NULL

-- control.touch_key
-- Store that a key was used, at most once a minute.
UPDATE innkeeper.api_keys SET last_used_at = %(now)s
WHERE client_key = %(client_key)s
  AND (last_used_at IS NULL OR last_used_at < %(now)s - interval '1 minute')

-- control.one_at_a_time
-- Lock migrations and changes of workspaces until the transaction ends.
SELECT pg_advisory_xact_lock(%(lock)s)

-- control.list_workspaces
-- Every workspace, each before its sandbox.
SELECT name, sandbox_of, created_at FROM innkeeper.workspaces
ORDER BY coalesce(sandbox_of, name), sandbox_of NULLS FIRST

-- control.find_workspace
-- One workspace by name.
SELECT name, sandbox_of, created_at FROM innkeeper.workspaces WHERE name = %(name)s
