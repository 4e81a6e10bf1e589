-- The control schema of 0.1.0: workspaces, who may reach them, and what was changed in them. The
-- schema `innkeeper` and the tables of applied migrations exist already (store/migrate.py).

----------------------------------------------------------------------------------------------------
-- Workspaces and their API keys

CREATE TABLE innkeeper.workspaces (
    name text COLLATE "C" PRIMARY KEY,
    -- The workspace that this one is the sandbox of; null for a workspace of its own.
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
    revoked_at timestamptz,
    -- What the key may do.
    scopes text[] NOT NULL DEFAULT ARRAY['read', 'write', 'delete', 'personal_data']
    CHECK (cardinality(scopes) > 0 AND scopes <@
        ARRAY['read', 'write', 'delete', 'personal_data', 'administration'])
);
CREATE INDEX api_keys_by_workspace ON innkeeper.api_keys (workspace, created_at);

-- Other names of a client key: the context ids of edge paths (stream-api.md 1).
CREATE TABLE innkeeper.client_key_aliases (
    alias text COLLATE "C" PRIMARY KEY,
    client_key text COLLATE "C" NOT NULL REFERENCES innkeeper.api_keys ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Clients of the audience export API. The secret is shown once.
CREATE TABLE innkeeper.oauth_clients (
    client_id text COLLATE "C" PRIMARY KEY,
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    workspace text COLLATE "C" NOT NULL REFERENCES innkeeper.workspaces,
    -- The client key that responses name: that which created the client.
    client_key text COLLATE "C" NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz
);

----------------------------------------------------------------------------------------------------
-- Users of the screens and their logins

CREATE TABLE innkeeper.users (
    ref uuid PRIMARY KEY,
    -- In lower case.
    email text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    role text NOT NULL,
    -- argon2id; null until a password is chosen by a link.
    password_hash text,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz,
    disabled_at timestamptz,
    -- Workspaces that the user may open, each with its sandbox; null for every one.
    workspaces text[] COLLATE "C"
);

-- Open logins. A cookie holds the token, this table its digest.
CREATE TABLE innkeeper.logins (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    user_ref uuid NOT NULL REFERENCES innkeeper.users ON DELETE CASCADE,
    workspace text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX logins_of_user ON innkeeper.logins (user_ref);

-- One-time links by which a user chooses a password. A link without user creates the first owner.
CREATE TABLE innkeeper.login_links (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    user_ref uuid REFERENCES innkeeper.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Attempts to log in, counted before a password is verified. Each counts against one or two
-- budgets: of the caller's address and of the account, or of a browser that has logged in before.
CREATE TABLE innkeeper.login_attempts (
    -- A digest, so that the table names neither people nor addresses.
    budget_sha256 bytea PRIMARY KEY CHECK (octet_length(budget_sha256) = 32),
    attempts integer NOT NULL,
    last_at timestamptz NOT NULL,
    locked_until timestamptz
);
CREATE INDEX login_attempts_by_age ON innkeeper.login_attempts (last_at);

-- Browsers that a user has logged in with. A cookie holds the token, this table its digest.
CREATE TABLE innkeeper.known_browsers (
    token_sha256 bytea NOT NULL CHECK (octet_length(token_sha256) = 32),
    user_ref uuid NOT NULL REFERENCES innkeeper.users ON DELETE CASCADE,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (token_sha256, user_ref)
);
CREATE INDEX known_browsers_of_user ON innkeeper.known_browsers (user_ref, used_at);

----------------------------------------------------------------------------------------------------
-- Audit log: who changed what, and when

CREATE TABLE innkeeper.audit_log (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    workspace text COLLATE "C",
    action text NOT NULL,
    -- A salted hash of the subject where that is a person, which outlives an erasure.
    subject_hash bytea,
    details jsonb NOT NULL DEFAULT '{}',
    -- The subject, and {"field": [before, after]}. Of guests both are deleted by an erasure.
    subject_kind text,
    subject text,
    changes jsonb
);
CREATE INDEX audit_log_by_age ON innkeeper.audit_log (at DESC, sequence DESC);
CREATE INDEX audit_log_by_workspace ON innkeeper.audit_log (workspace, at DESC);
CREATE INDEX audit_log_of_subject ON innkeeper.audit_log (subject_hash)
    WHERE subject_hash IS NOT NULL;

----------------------------------------------------------------------------------------------------
-- Secrets that this installation signs and salts with; never shown

CREATE TABLE innkeeper.secrets (
    name text COLLATE "C" PRIMARY KEY,
    -- In clear: the salts, since a block list must survive the loss of the encryption key.
    value bytea CHECK (octet_length(value) = 32),
    -- Encrypted with a key outside the database, from the first start on.
    encrypted text,
    CHECK ((value IS NULL) <> (encrypted IS NULL))
);
INSERT INTO innkeeper.secrets (name, value)
SELECT name, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
FROM unnest(ARRAY['links', 'suppression', 'subjects', 'tokens']) AS needed (name);
