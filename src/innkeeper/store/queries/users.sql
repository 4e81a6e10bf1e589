-- users.count
-- Count the users, including those that have not used their link yet.
SELECT count(*) AS total FROM innkeeper.users

-- users.create
-- Insert a user; no row if the e-mail address exists.
INSERT INTO innkeeper.users (ref, email, name, role, workspaces, password_hash, created_at)
VALUES (%(ref)s, %(email)s, %(name)s, %(role)s, %(workspaces)s, %(password_hash)s, %(now)s)
ON CONFLICT (email) DO NOTHING
RETURNING ref, email, name, role, workspaces, created_at, last_seen_at, disabled_at

-- users.list
-- Every user, oldest first.
SELECT ref, email, name, role, workspaces, created_at, last_seen_at, disabled_at,
    password_hash IS NOT NULL AS has_password
FROM innkeeper.users ORDER BY created_at, email

-- users.by_email
-- The user with that e-mail address.
SELECT ref, email, name, role, workspaces, password_hash, disabled_at
FROM innkeeper.users WHERE email = %(email)s

-- users.fetch
-- One user, locked until the transaction ends.
SELECT ref, email, name, role, workspaces, disabled_at FROM innkeeper.users WHERE ref = %(ref)s FOR UPDATE

-- users.hold_owners
-- The enabled owners, locked so that two requests cannot remove the last two of them.
SELECT ref FROM innkeeper.users WHERE role = 'owner' AND disabled_at IS NULL
ORDER BY ref FOR UPDATE

-- users.update
-- Set name, role and workspaces of a user, and whether they are disabled.
UPDATE innkeeper.users SET name = %(name)s, role = %(role)s, workspaces = %(workspaces)s,
    disabled_at = %(disabled_at)s
WHERE ref = %(ref)s

-- users.set_password
-- Set the password of a user.
UPDATE innkeeper.users SET password_hash = %(password_hash)s WHERE ref = %(ref)s

-- users.create_link
-- Insert a one-time link.
INSERT INTO innkeeper.login_links (token_sha256, user_ref, created_at, expires_at)
VALUES (%(token_sha256)s, %(user)s, %(now)s, %(expires_at)s)

-- users.forget_links
-- Delete the links of a user, or the links that create the first owner.
DELETE FROM innkeeper.login_links WHERE user_ref IS NOT DISTINCT FROM %(user)s::uuid

-- users.link
-- A link that has neither expired nor been used, with its user.
SELECT user_ref, email, name FROM innkeeper.login_links
LEFT JOIN innkeeper.users ON users.ref = user_ref
WHERE token_sha256 = %(token_sha256)s AND expires_at > %(now)s AND disabled_at IS NULL

-- users.use_link
-- Use up a link; no row if it has expired or was used.
DELETE FROM innkeeper.login_links
WHERE token_sha256 = %(token_sha256)s AND expires_at > %(now)s RETURNING user_ref

-- users.count_attempt
-- Count an attempt against a budget before it is verified; no row while the budget is locked. After
-- a pause of `window` the count begins again.
WITH old AS (
    DELETE FROM innkeeper.login_attempts WHERE budget_sha256 = ANY (ARRAY(
        SELECT budget_sha256 FROM innkeeper.login_attempts
        WHERE last_at < %(now)s - interval '2 days' LIMIT 10
    ))
)
INSERT INTO innkeeper.login_attempts AS stored (budget_sha256, attempts, last_at)
VALUES (%(budget)s, 1, %(now)s)
ON CONFLICT (budget_sha256) DO UPDATE
SET attempts = CASE WHEN stored.last_at < %(now)s - %(window)s THEN 1 ELSE stored.attempts + 1 END,
    last_at = %(now)s
WHERE stored.locked_until IS NULL OR stored.locked_until <= %(now)s
RETURNING attempts

-- users.lock
-- Lock a budget until a time.
UPDATE innkeeper.login_attempts SET locked_until = %(until)s WHERE budget_sha256 = %(budget)s

-- users.locked
-- The latest time until which any of some budgets is locked; null for none.
SELECT max(locked_until) AS until FROM innkeeper.login_attempts
WHERE budget_sha256 = ANY (%(budgets)s) AND locked_until > %(now)s

-- users.forget_attempts
-- Delete the count of a budget after a success.
DELETE FROM innkeeper.login_attempts WHERE budget_sha256 = %(budget)s

-- users.uncount_attempt
-- Subtract one successful attempt from a shared budget.
UPDATE innkeeper.login_attempts SET attempts = greatest(attempts - 1, 0), locked_until = NULL
WHERE budget_sha256 = %(budget)s

-- users.browser
-- Whether the user with that e-mail address has logged in with a browser lately; no row if nobody
-- has.
SELECT bool_or(u.email = %(email)s) AS theirs
FROM innkeeper.trusted_browsers AS b JOIN innkeeper.users AS u ON u.ref = b.user_ref
WHERE b.token_sha256 = %(token_sha256)s AND b.used_at > %(since)s
HAVING count(*) > 0

-- users.note_browser
-- Store that a user has logged in with a browser; deletes the oldest ones beyond `most`.
WITH old AS (
    DELETE FROM innkeeper.trusted_browsers
    WHERE user_ref = %(user)s AND token_sha256 = ANY (ARRAY(
        SELECT token_sha256 FROM innkeeper.trusted_browsers WHERE user_ref = %(user)s
        ORDER BY used_at DESC OFFSET %(most)s
    ))
)
INSERT INTO innkeeper.trusted_browsers (token_sha256, user_ref, used_at)
VALUES (%(token_sha256)s, %(user)s, %(now)s)
ON CONFLICT (token_sha256, user_ref) DO UPDATE SET used_at = excluded.used_at

-- users.forget_browsers
-- Delete the recognized browsers of a user.
DELETE FROM innkeeper.trusted_browsers WHERE user_ref = %(user)s

-- users.open_login
-- Insert a login, and delete expired ones.
WITH expired AS (DELETE FROM innkeeper.logins WHERE expires_at < %(now)s)
INSERT INTO innkeeper.logins (token_sha256, user_ref, workspace, created_at, expires_at)
VALUES (%(token_sha256)s, %(user)s, %(workspace)s, %(now)s, %(expires_at)s)

-- users.of_login
-- The user and the workspace of an open login, and every workspace, each before its sandbox.
SELECT users.ref, users.email, users.name, users.role, users.workspaces, users.last_seen_at,
    users.time_zone, logins.workspace, (
        SELECT jsonb_agg(
            jsonb_build_object(
                'name', w.name, 'sandbox_of', w.sandbox_of, 'created_at', w.created_at
            )
            ORDER BY coalesce(w.sandbox_of, w.name), w.sandbox_of NULLS FIRST
        ) FROM innkeeper.workspaces AS w
    ) AS all_workspaces
FROM innkeeper.logins JOIN innkeeper.users ON users.ref = logins.user_ref
WHERE token_sha256 = %(token_sha256)s AND expires_at > %(now)s AND disabled_at IS NULL

-- users.seen
-- Store the time and the workspace of a user's visit.
WITH visit AS (
    UPDATE innkeeper.users SET last_seen_at = %(now)s WHERE ref = %(user)s
)
UPDATE innkeeper.logins SET workspace = %(workspace)s WHERE token_sha256 = %(token_sha256)s

-- users.close_login
-- Delete a login.
DELETE FROM innkeeper.logins WHERE token_sha256 = %(token_sha256)s

-- users.logins
-- The open logins of a user, newest first.
SELECT created_at, expires_at, workspace, token_sha256 = %(token_sha256)s AS is_current
FROM innkeeper.logins WHERE user_ref = %(user)s AND expires_at > %(now)s
ORDER BY created_at DESC LIMIT %(most)s

-- users.set_time_zone
-- Set the time zone of a user.
UPDATE innkeeper.users SET time_zone = %(time_zone)s WHERE ref = %(ref)s

-- users.close_logins
-- Delete every login of a user except one.
DELETE FROM innkeeper.logins
WHERE user_ref = %(user)s AND token_sha256 IS DISTINCT FROM %(except_login)s::bytea
