-- audit.note
-- Insert a row of the audit log.
INSERT INTO innkeeper.audit_log
    (at, actor, workspace, action, subject_hash, subject_kind, subject, changes, details)
VALUES (%(now)s, %(actor)s, %(workspace)s, %(action)s, %(subject_hash)s, %(subject_kind)s,
    %(subject)s, %(changes)s, %(details)s)

-- audit.count_repeat
-- Insert a row for a repeated action, or raise the count in the row of the last hour.
WITH counted AS (
    UPDATE innkeeper.audit_log
    SET details = details || jsonb_build_object(
        'times', (details ->> 'times')::integer + 1, 'address', %(address)s::text)
    WHERE sequence = (
        SELECT max(sequence) FROM innkeeper.audit_log
        WHERE at > %(since)s AND action = %(action)s
          AND subject_hash IS NOT DISTINCT FROM %(subject_hash)s::bytea
    )
    RETURNING sequence
)
INSERT INTO innkeeper.audit_log
    (at, actor, action, subject_hash, subject_kind, subject, details)
SELECT %(now)s, %(actor)s, %(action)s, %(subject_hash)s::bytea, %(subject_kind)s::text,
    %(subject)s::text, jsonb_build_object('times', 1, 'address', %(address)s::text)
WHERE NOT EXISTS (SELECT FROM counted)

-- audit.erase
-- Clear the subject and the changes of rows about erased guests.
UPDATE innkeeper.audit_log SET subject_kind = NULL, subject = NULL, changes = NULL
WHERE subject_hash = ANY (%(subjects)s::bytea[]) AND (subject IS NOT NULL OR changes IS NOT NULL)

-- audit.erase_definitions
-- Clear changes of definitions that contain an e-mail address or a phone number of guests.
WITH named AS (
    SELECT DISTINCT lower(each.value) AS value
    FROM {ws}.guests AS g, LATERAL (
        SELECT jsonb_array_elements_text(
            CASE jsonb_typeof(g.body -> list) WHEN 'array' THEN g.body -> list ELSE '[]' END)
        FROM unnest(ARRAY['emails', 'phone_numbers']) AS list
        UNION ALL
        SELECT g.body ->> field FROM unnest(ARRAY['email', 'phone']) AS field
    ) AS each (value)
    WHERE g.ref = ANY (%(guests)s::uuid[]) AND length(each.value) > 5
)
UPDATE innkeeper.audit_log AS a SET changes = NULL
WHERE a.workspace = %(workspace)s AND a.changes IS NOT NULL
  AND a.subject_kind IN ('segment', 'export', 'trait')
  AND EXISTS (SELECT FROM named WHERE position(named.value IN lower(a.changes::text)) > 0)

-- audit.of_subjects
-- The rows with changes of some guests.
SELECT at, actor, action, changes FROM innkeeper.audit_log
WHERE subject_hash = ANY (%(subjects)s::bytea[]) AND changes IS NOT NULL ORDER BY sequence

-- audit.selected
-- Condition: the rows that the filters select.
(workspace IS NULL OR workspace = %(workspace)s)
  AND (%(actor)s::text IS NULL OR actor = %(actor)s)
  AND (%(action)s::text IS NULL OR action = %(action)s)
  AND (%(subject_hash)s::bytea IS NULL OR subject_hash = %(subject_hash)s)
  AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR at < %(until)s)

-- audit.list
-- A page of the audit log, newest first; each row has the total.
SELECT at, actor, workspace, action, subject_hash, subject_kind, subject, changes, details, count(*) OVER () AS total
FROM innkeeper.audit_log
WHERE {audit.selected}
ORDER BY at DESC, sequence DESC LIMIT %(limit)s OFFSET %(offset)s

-- audit.list_before
-- Rows that are older than a row, newest first.
SELECT at, sequence, actor, action, subject_kind, subject, changes
FROM innkeeper.audit_log
WHERE {audit.selected} AND (%(at)s::timestamptz IS NULL OR (at, sequence) < (%(at)s, %(sequence)s::bigint))
ORDER BY at DESC, sequence DESC LIMIT %(most)s

-- audit.words
-- The actors and actions that occur in the log, for its filters.
SELECT array_agg(DISTINCT actor ORDER BY actor) AS actors,
    array_agg(DISTINCT action ORDER BY action) AS actions
FROM innkeeper.audit_log WHERE workspace IS NULL OR workspace = %(workspace)s
