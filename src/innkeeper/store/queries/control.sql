-- control.create_key
-- A new API key; its token is stored as SHA-256 only.
INSERT INTO innkeeper.api_keys
    (client_key, token_sha256, workspace, compatibility, name, scopes, created_at)
VALUES (%(client_key)s, %(token_sha256)s, %(workspace)s, %(compatibility)s, %(name)s, %(scopes)s,
    %(now)s)

-- control.find_key
-- The key that a caller names, if it has not been revoked.
SELECT client_key, token_sha256, workspace, compatibility, name, scopes, created_at, last_used_at
FROM innkeeper.api_keys WHERE client_key = %(client_key)s AND revoked_at IS NULL

-- control.lock_key
-- The key that has not been revoked, held until the transaction ends.
SELECT client_key, token_sha256, workspace, compatibility, name, scopes
FROM innkeeper.api_keys WHERE client_key = %(client_key)s AND revoked_at IS NULL FOR NO KEY UPDATE

-- control.keys_with_digests
-- The keys of a workspace that have not been revoked, as `control.lock_key` has them.
SELECT client_key, token_sha256, compatibility, scopes
FROM innkeeper.api_keys WHERE workspace = %(workspace)s AND revoked_at IS NULL

-- control.find_alias
-- The key that a context id stands for, if it has not been revoked.
SELECT k.client_key, token_sha256, workspace, compatibility, name, scopes, k.created_at, last_used_at
FROM innkeeper.api_keys AS k JOIN innkeeper.client_key_aliases AS a USING (client_key)
WHERE a.alias = %(alias)s AND revoked_at IS NULL

-- control.list_aliases
-- Every alias of a client key.
SELECT alias, client_key, created_at FROM innkeeper.client_key_aliases ORDER BY alias

-- control.lock_alias
-- Which key a context id stands for, held until the transaction ends.
SELECT alias, client_key FROM innkeeper.client_key_aliases WHERE alias = %(alias)s FOR UPDATE

-- control.name_key
-- A context id stands for a key from now on.
INSERT INTO innkeeper.client_key_aliases (alias, client_key) VALUES (%(alias)s, %(client_key)s)
ON CONFLICT (alias) DO UPDATE SET client_key = excluded.client_key
RETURNING alias, client_key

-- control.forget_alias
-- A context id stands for no key any more.
DELETE FROM innkeeper.client_key_aliases WHERE alias = %(alias)s
RETURNING alias, client_key

-- control.list_keys
-- Every key, or those of one workspace, oldest first, without token.
SELECT client_key, workspace, compatibility, name, scopes, created_at, last_used_at, revoked_at
FROM innkeeper.api_keys
WHERE %(workspace)s::text IS NULL OR workspace = %(workspace)s
ORDER BY created_at, client_key

-- control.revoke_key
-- End a key; no row when it does not exist or has ended.
UPDATE innkeeper.api_keys SET revoked_at = %(now)s
WHERE client_key = %(client_key)s AND revoked_at IS NULL

-- control.rotate_key
-- Another token for a key that has not been revoked.
UPDATE innkeeper.api_keys SET token_sha256 = %(token_sha256)s
WHERE client_key = %(client_key)s AND revoked_at IS NULL

-- control.set_compatibility
-- Which documents decide for the callers of a key that has not been revoked.
UPDATE innkeeper.api_keys SET compatibility = %(compatibility)s
WHERE client_key = %(client_key)s AND revoked_at IS NULL

-- control.set_scopes
-- What a key that has not been revoked may do.
UPDATE innkeeper.api_keys SET scopes = %(scopes)s
WHERE client_key = %(client_key)s AND revoked_at IS NULL

-- control.touch_key
-- Note that a key was used, at most once a minute.
UPDATE innkeeper.api_keys SET last_used_at = %(now)s
WHERE client_key = %(client_key)s
  AND (last_used_at IS NULL OR last_used_at < %(now)s - interval '1 minute')

-- control.announce_key
-- Tell every process that what it remembers of a key is out of date.
SELECT pg_notify('innkeeper_keys', %(client_key)s)

-- control.one_at_a_time
-- Wait for whoever else migrates or changes workspaces; held until the transaction ends.
SELECT pg_advisory_xact_lock(%(lock)s)

-- control.list_workspaces
-- Every workspace, each before its sandbox.
SELECT name, sandbox_of, created_at FROM innkeeper.workspaces
ORDER BY coalesce(sandbox_of, name), sandbox_of NULLS FIRST

-- control.find_workspace
-- One workspace by name.
SELECT name, sandbox_of, created_at FROM innkeeper.workspaces WHERE name = %(name)s
