-- users.count
-- How many people can log in or will, once they have followed their link.
SELECT count(*) AS total FROM innkeeper.users

-- users.create
-- A person without password; no row when the address is taken.
INSERT INTO innkeeper.users (ref, email, name, role, workspaces, password_hash, created_at)
VALUES (%(ref)s, %(email)s, %(name)s, %(role)s, %(workspaces)s, %(password_hash)s, %(now)s)
ON CONFLICT (email) DO NOTHING
RETURNING ref, email, name, role, workspaces, created_at, last_seen_at, disabled_at

-- users.list
-- Everybody, oldest first.
SELECT ref, email, name, role, workspaces, created_at, last_seen_at, disabled_at,
    password_hash IS NOT NULL AS has_password
FROM innkeeper.users ORDER BY created_at, email

-- users.by_email
-- The person with that address.
SELECT ref, email, name, role, password_hash, disabled_at
FROM innkeeper.users WHERE email = %(email)s

-- users.fetch
-- One person, held until the transaction ends.
SELECT ref, email, name, role, workspaces, disabled_at FROM innkeeper.users WHERE ref = %(ref)s FOR UPDATE

-- users.hold_owners
-- The owners who can log in, held so that two requests cannot remove the last two of them.
SELECT ref FROM innkeeper.users WHERE role = 'owner' AND disabled_at IS NULL
ORDER BY ref FOR UPDATE

-- users.update
-- Another name, role or other workspaces, enabled or not.
UPDATE innkeeper.users SET name = %(name)s, role = %(role)s, workspaces = %(workspaces)s,
    disabled_at = %(disabled_at)s
WHERE ref = %(ref)s

-- users.set_password
-- A password that was chosen.
UPDATE innkeeper.users SET password_hash = %(password_hash)s WHERE ref = %(ref)s

-- users.create_link
-- A one-time link.
INSERT INTO innkeeper.login_links (token_sha256, user_ref, created_at, expires_at)
VALUES (%(token_sha256)s, %(user)s, %(now)s, %(expires_at)s)

-- users.forget_links
-- End the links of a person, or those that make the first owner.
DELETE FROM innkeeper.login_links WHERE user_ref IS NOT DISTINCT FROM %(user)s::uuid

-- users.link
-- A link that has neither expired nor been used, and whose it is.
SELECT user_ref, email, name FROM innkeeper.login_links
LEFT JOIN innkeeper.users ON users.ref = user_ref
WHERE token_sha256 = %(token_sha256)s AND expires_at > %(now)s AND disabled_at IS NULL

-- users.use_link
-- Take a link; no row when somebody was faster.
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
INSERT INTO innkeeper.login_attempts AS known (budget_sha256, attempts, last_at)
VALUES (%(budget)s, 1, %(now)s)
ON CONFLICT (budget_sha256) DO UPDATE
SET attempts = CASE WHEN known.last_at < %(now)s - %(window)s THEN 1 ELSE known.attempts + 1 END,
    last_at = %(now)s
WHERE known.locked_until IS NULL OR known.locked_until <= %(now)s
RETURNING attempts

-- users.lock
-- Refuse attempts against a budget for a while.
UPDATE innkeeper.login_attempts SET locked_until = %(until)s WHERE budget_sha256 = %(budget)s

-- users.locked
-- The latest time until which any of some budgets is locked; null for none.
SELECT max(locked_until) AS until FROM innkeeper.login_attempts
WHERE budget_sha256 = ANY (%(budgets)s) AND locked_until > %(now)s

-- users.forget_attempts
-- An attempt succeeded: forget what failed before it.
DELETE FROM innkeeper.login_attempts WHERE budget_sha256 = %(budget)s

-- users.uncount_attempt
-- An attempt succeeded: it does not count, others of that budget still do.
UPDATE innkeeper.login_attempts SET attempts = greatest(attempts - 1, 0), locked_until = NULL
WHERE budget_sha256 = %(budget)s

-- users.browser
-- A browser that somebody has logged in with lately, and whether it was the person with that e-mail
-- address; no row for any other.
SELECT bool_or(u.email = %(email)s) AS theirs
FROM innkeeper.known_browsers AS b JOIN innkeeper.users AS u ON u.ref = b.user_ref
WHERE b.token_sha256 = %(token_sha256)s AND b.used_at > %(since)s
HAVING count(*) > 0

-- users.note_browser
-- A person has logged in with a browser; the oldest beyond `most` are forgotten.
WITH old AS (
    DELETE FROM innkeeper.known_browsers
    WHERE user_ref = %(user)s AND token_sha256 = ANY (ARRAY(
        SELECT token_sha256 FROM innkeeper.known_browsers WHERE user_ref = %(user)s
        ORDER BY used_at DESC OFFSET %(most)s
    ))
)
INSERT INTO innkeeper.known_browsers (token_sha256, user_ref, used_at)
VALUES (%(token_sha256)s, %(user)s, %(now)s)
ON CONFLICT (token_sha256, user_ref) DO UPDATE SET used_at = excluded.used_at

-- users.forget_browsers
-- A person's browsers are strangers again.
DELETE FROM innkeeper.known_browsers WHERE user_ref = %(user)s

-- users.open_login
-- A login begins.
WITH expired AS (DELETE FROM innkeeper.logins WHERE expires_at < %(now)s)
INSERT INTO innkeeper.logins (token_sha256, user_ref, workspace, created_at, expires_at)
VALUES (%(token_sha256)s, %(user)s, %(workspace)s, %(now)s, %(expires_at)s)

-- users.of_login
-- Whose an open login is.
SELECT users.ref, users.email, users.name, users.role, users.workspaces, users.last_seen_at,
    logins.workspace
FROM innkeeper.logins JOIN innkeeper.users ON users.ref = logins.user_ref
WHERE token_sha256 = %(token_sha256)s AND expires_at > %(now)s AND disabled_at IS NULL

-- users.seen
-- That a person was here now, and in which workspace.
WITH seen AS (
    UPDATE innkeeper.users SET last_seen_at = %(now)s WHERE ref = %(user)s
)
UPDATE innkeeper.logins SET workspace = %(workspace)s WHERE token_sha256 = %(token_sha256)s

-- users.close_login
-- A login ends.
DELETE FROM innkeeper.logins WHERE token_sha256 = %(token_sha256)s

-- users.close_logins
-- Every login of a person ends, but for one that may be kept.
DELETE FROM innkeeper.logins
WHERE user_ref = %(user)s AND token_sha256 IS DISTINCT FROM %(kept)s::bytea
