-- Attempts to log in are counted before a password is verified, each against one or two budgets: of
-- the caller's address and of the account, or of a browser that has logged in before.

DROP TABLE innkeeper.login_failures;

CREATE TABLE innkeeper.login_attempts (
    -- A digest, so that the table names neither people nor addresses.
    budget_sha256 bytea PRIMARY KEY CHECK (octet_length(budget_sha256) = 32),
    attempts integer NOT NULL,
    last_at timestamptz NOT NULL,
    locked_until timestamptz
);
CREATE INDEX login_attempts_by_age ON innkeeper.login_attempts (last_at);

-- Browsers that somebody has logged in with. A cookie holds the token, this table its digest.
CREATE TABLE innkeeper.known_browsers (
    token_sha256 bytea NOT NULL CHECK (octet_length(token_sha256) = 32),
    user_ref uuid NOT NULL REFERENCES innkeeper.users ON DELETE CASCADE,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (token_sha256, user_ref)
);
CREATE INDEX known_browsers_of_user ON innkeeper.known_browsers (user_ref, used_at);
