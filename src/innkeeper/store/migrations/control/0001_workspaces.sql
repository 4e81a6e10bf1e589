-- Workspaces and the keys that open them. The schema and innkeeper.migrations exist already.

CREATE TABLE innkeeper.workspaces (
    name text COLLATE "C" PRIMARY KEY,
    -- The workspace this one is the sandbox of; null for a workspace of its own.
    sandbox_of text COLLATE "C" REFERENCES innkeeper.workspaces,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE innkeeper.api_keys (
    client_key text COLLATE "C" PRIMARY KEY CHECK (client_key ~ '^[A-Za-z0-9]{32}$'),
    token_sha256 bytea NOT NULL CHECK (octet_length(token_sha256) = 32),
    workspace text COLLATE "C" NOT NULL REFERENCES innkeeper.workspaces,
    compatibility text NOT NULL CHECK (compatibility IN ('open', 'official')),
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_by_workspace ON innkeeper.api_keys (workspace, created_at);
