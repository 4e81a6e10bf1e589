-- People who log in to the screens, and the log of what people and commands changed.

CREATE TABLE innkeeper.users (
    ref uuid PRIMARY KEY,
    -- In lower case.
    email text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    role text NOT NULL,
    -- argon2id; null until a password was chosen by a link.
    password_hash text,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz,
    disabled_at timestamptz
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

-- One-time links by which a person chooses a password. One without user makes the first owner.
CREATE TABLE innkeeper.login_links (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    user_ref uuid REFERENCES innkeeper.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Failed attempts to log in, by digest of the address that was typed, known or not, so that an
-- answer does not tell which addresses exist.
CREATE TABLE innkeeper.login_failures (
    email_sha256 bytea PRIMARY KEY,
    failures integer NOT NULL,
    last_at timestamptz NOT NULL,
    locked_until timestamptz
);

-- Who changed what, and when. What was changed is named by a salted hash where it is a person,
-- so that the log outlives an erasure without naming anybody.
CREATE TABLE IF NOT EXISTS innkeeper.audit_log (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    workspace text COLLATE "C",
    action text NOT NULL,
    subject_hash bytea,
    details jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS audit_log_by_age ON innkeeper.audit_log (at DESC, sequence DESC);
CREATE INDEX IF NOT EXISTS audit_log_by_workspace ON innkeeper.audit_log (workspace, at DESC);
