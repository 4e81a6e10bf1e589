-- Clients of the audience export API: a name, a secret that is shown once, one workspace each.

CREATE TABLE innkeeper.oauth_clients (
    client_id text COLLATE "C" PRIMARY KEY,
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    workspace text COLLATE "C" NOT NULL REFERENCES innkeeper.workspaces,
    -- What answers call the workspace: the key that made the client.
    client_key text COLLATE "C" NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz
);

INSERT INTO innkeeper.secrets (name, value)
VALUES ('tokens', sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
