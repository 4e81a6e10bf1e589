-- dashboards.fetch
-- The reports that a user pinned in a workspace, null before the first change; no row for an unknown user.
SELECT u.ref AS user_ref, u.workspaces, d.reports FROM innkeeper.users AS u
LEFT JOIN innkeeper.dashboards AS d ON d.user_ref = u.ref AND d.workspace = %(workspace)s
WHERE u.email = %(email)s

-- dashboards.lock
-- The same; others wait for the user's row until the transaction ends.
SELECT u.ref AS user_ref, u.workspaces, d.reports FROM innkeeper.users AS u
LEFT JOIN innkeeper.dashboards AS d ON d.user_ref = u.ref AND d.workspace = %(workspace)s
WHERE u.email = %(email)s FOR NO KEY UPDATE OF u

-- dashboards.put
-- Replace the reports that a user pinned in a workspace.
INSERT INTO innkeeper.dashboards (user_ref, workspace, reports)
VALUES (%(user)s, %(workspace)s, %(reports)s)
ON CONFLICT (user_ref, workspace) DO UPDATE SET reports = excluded.reports
