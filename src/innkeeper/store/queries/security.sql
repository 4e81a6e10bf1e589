-- security.login
-- Whether the database role is a superuser, and how it is connected.
SELECT r.rolsuper AS superuser,
    inet_client_addr() IS NULL OR inet_client_addr() <<= '127.0.0.0/8' OR
    inet_client_addr() = '::1' AS local,
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted
FROM pg_roles AS r WHERE r.rolname = current_user

-- security.plain_signing_keys
-- Count the signing keys that are stored in plain text.
SELECT count(*) AS total FROM innkeeper.secrets
WHERE name IN ('links', 'tokens') AND encrypted IS NULL
