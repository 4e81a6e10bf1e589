-- bulk_actions.columns
-- The columns of a bulk action, with the number of guests left.
ref, action, list_ref, options, selection, state, total, changed, error, actor, created_at,
finished_at,
(SELECT friendly_id FROM {ws}.static_lists AS l WHERE l.ref = bulk_actions.list_ref) AS list_id,
(SELECT count(*) FROM {ws}.bulk_action_guests AS q WHERE q.action_ref = bulk_actions.ref) AS pending

-- bulk_actions.create
-- Insert a bulk action.
INSERT INTO {ws}.bulk_actions
    (ref, action, list_ref, options, selection, state, is_queued, total, actor, created_at)
VALUES (%(ref)s, %(action)s, %(list)s, %(options)s, %(selection)s, 'QUEUED', %(is_queued)s,
    %(total)s, %(actor)s, %(now)s)
RETURNING {bulk_actions.columns}

-- bulk_actions.fetch
-- One bulk action.
SELECT {bulk_actions.columns} FROM {ws}.bulk_actions WHERE ref = %(ref)s

-- bulk_actions.list
-- The newest bulk actions.
SELECT {bulk_actions.columns} FROM {ws}.bulk_actions ORDER BY created_at DESC, ref LIMIT %(limit)s

-- bulk_actions.unfinished
-- Queued actions that are not finished, and those that a request did not finish before it ended.
SELECT ref FROM {ws}.bulk_actions
WHERE finished_at IS NULL AND (is_queued OR created_at < now() - interval '5 minutes')
ORDER BY created_at, ref

-- bulk_actions.queue_guests
-- Store the guests that an action has to reach; those that no longer exist are skipped.
INSERT INTO {ws}.bulk_action_guests (action_ref, guest_ref)
SELECT %(ref)s, ref FROM {ws}.guests WHERE ref = ANY (%(guests)s::uuid[]) ORDER BY ref
ON CONFLICT DO NOTHING

-- bulk_actions.start
-- Mark an action as running, with the number of its guests; its selection is not needed any more.
UPDATE {ws}.bulk_actions SET state = 'RUNNING', selection = NULL, total = %(total)s
WHERE ref = %(ref)s

-- bulk_actions.next
-- Guests that an action still has to reach.
SELECT guest_ref FROM {ws}.bulk_action_guests WHERE action_ref = %(ref)s ORDER BY guest_ref
LIMIT %(most)s

-- bulk_actions.advance
-- Count guests as reached.
WITH reached AS (
    DELETE FROM {ws}.bulk_action_guests
    WHERE action_ref = %(ref)s AND guest_ref = ANY (%(guests)s::uuid[])
)
UPDATE {ws}.bulk_actions SET changed = changed + %(changed)s WHERE ref = %(ref)s

-- bulk_actions.finish
-- Store the outcome of an action.
UPDATE {ws}.bulk_actions SET state = %(state)s, error = %(error)s, selection = NULL,
    finished_at = %(now)s
WHERE ref = %(ref)s
RETURNING {bulk_actions.columns}

-- bulk_actions.delete_finished
-- Delete actions that finished before an instant, with the guests that they did not reach.
DELETE FROM {ws}.bulk_actions WHERE finished_at < %(before)s

-- bulk_actions.erase
-- Remove erased guests from actions that did not reach them yet.
DELETE FROM {ws}.bulk_action_guests WHERE guest_ref = ANY (%(guests)s::uuid[])
