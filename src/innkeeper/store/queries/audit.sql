-- audit.note
-- That somebody changed something.
INSERT INTO innkeeper.audit_log (at, actor, workspace, action, subject_hash, details)
VALUES (%(now)s, %(actor)s, %(workspace)s, %(action)s, %(subject_hash)s, %(details)s)

-- audit.list
-- A page of what was changed, newest first, each row with the number of all.
SELECT at, actor, workspace, action, subject_hash, details, count(*) OVER () AS total
FROM innkeeper.audit_log
WHERE (workspace IS NULL OR workspace = %(workspace)s)
  AND (%(actor)s::text IS NULL OR actor = %(actor)s)
  AND (%(action)s::text IS NULL OR action = %(action)s)
  AND (%(subject_hash)s::bytea IS NULL OR subject_hash = %(subject_hash)s)
ORDER BY at DESC, sequence DESC LIMIT %(limit)s OFFSET %(offset)s

-- audit.words
-- The actors and actions that the log knows, for its filters.
SELECT array_agg(DISTINCT actor ORDER BY actor) AS actors,
    array_agg(DISTINCT action ORDER BY action) AS actions
FROM innkeeper.audit_log WHERE workspace IS NULL OR workspace = %(workspace)s
