-- segments.columns
-- The columns of a segment.
ref, friendly_id, name, status, previous_status, tags, definition, revision, archived, size,
previous_size, total, sample, last_run_at, last_live_at, webhook, webhook_secret, modified_by,
created_at, modified_at,
-- The owner is the actor of its first revision, which is not visible to the statement that inserts it.
coalesce((
    SELECT first.modified_by FROM {ws}.segment_revisions AS first
    WHERE first.segment_ref = segments.ref AND first.revision = 1
), modified_by) AS owner

-- segments.create
-- Insert a segment and its first revision; no row if its friendly id exists.
WITH created AS (
    INSERT INTO {ws}.segments
        (ref, friendly_id, name, status, tags, definition, webhook, webhook_secret, modified_by,
         created_at, modified_at)
    VALUES (%(ref)s, %(friendly_id)s, %(name)s, %(status)s, %(tags)s, %(definition)s, %(webhook)s,
        %(webhook_secret)s, %(actor)s, %(now)s, %(now)s)
    ON CONFLICT (friendly_id) DO NOTHING
    RETURNING {segments.columns}
), revised AS (
    INSERT INTO {ws}.segment_revisions
        (segment_ref, revision, name, definition, modified_by, modified_at)
    SELECT ref, revision, name, definition, modified_by, modified_at FROM created
)
SELECT * FROM created

-- segments.fetch
-- One segment by ref or friendly id.
SELECT {segments.columns} FROM {ws}.segments WHERE ref = %(ref)s OR friendly_id = %(friendly_id)s

-- segments.lock
-- One segment by ref, locked until the transaction ends.
SELECT {segments.columns} FROM {ws}.segments WHERE ref = %(ref)s FOR NO KEY UPDATE

-- segments.lock_whole
-- One segment by ref, locked against changes and new references until the transaction ends.
SELECT {segments.columns} FROM {ws}.segments WHERE ref = %(ref)s FOR UPDATE

-- segments.hold
-- The ref of a segment by ref or friendly id, locked against deletion until the transaction ends.
SELECT ref FROM {ws}.segments WHERE ref = %(ref)s OR friendly_id = %(friendly_id)s FOR KEY SHARE

-- segments.list
-- Every segment, newest first.
SELECT {segments.columns} FROM {ws}.segments ORDER BY created_at DESC, ref

-- segments.publishing
-- Segments that are being published: pending their first run.
SELECT ref FROM {ws}.segments WHERE status = 'PUBLISHING' ORDER BY created_at, ref

-- segments.in_status
-- Segments in any of some statuses, oldest first.
SELECT {segments.columns} FROM {ws}.segments WHERE status = ANY (%(statuses)s) ORDER BY created_at, ref

-- segments.rewrite
-- Replace the columns of a locked segment and insert its new revision.
WITH written AS (
    UPDATE {ws}.segments SET name = %(name)s, tags = %(tags)s, definition = %(definition)s,
        webhook = %(webhook)s, webhook_secret = %(webhook_secret)s, archived = %(archived)s,
        revision = revision + 1, modified_by = %(actor)s,
        modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
    WHERE ref = %(ref)s
    RETURNING {segments.columns}
), revised AS (
    INSERT INTO {ws}.segment_revisions
        (segment_ref, revision, name, definition, modified_by, modified_at)
    SELECT ref, revision, name, definition, modified_by, modified_at FROM written
)
SELECT * FROM written

-- segments.set_tags
-- Replace the tags of a locked segment, in any status: they change no member and no revision.
UPDATE {ws}.segments SET tags = %(tags)s, modified_by = %(actor)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE ref = %(ref)s
RETURNING {segments.columns}

-- segments.delete
-- Delete a segment with its runs and members.
DELETE FROM {ws}.segments WHERE ref = %(ref)s

-- segments.set_status
-- Set the status of a locked segment.
UPDATE {ws}.segments SET status = %(status)s, previous_status = %(previous_status)s,
    last_live_at = CASE WHEN %(status)s = 'LIVE' THEN %(now)s ELSE last_live_at END
WHERE ref = %(ref)s
RETURNING {segments.columns}

-- segments.calculated
-- Store the result of the last run of a segment.
UPDATE {ws}.segments SET previous_size = CASE WHEN %(keep_previous)s THEN previous_size ELSE size END,
    size = %(size)s, total = %(total)s, sample = %(sample)s, last_run_at = %(now)s
WHERE ref = %(ref)s

-- segments.revisions
-- The revisions of a segment, newest first.
SELECT revision, name, definition, modified_by, modified_at
FROM {ws}.segment_revisions WHERE segment_ref = %(ref)s ORDER BY revision DESC

-- segments.begin_run
-- Insert a run that starts.
INSERT INTO {ws}.segment_runs (ref, segment_ref, kind, state, engine, revision, started_at)
VALUES (%(ref)s, %(segment)s, %(kind)s, 'RUNNING', %(engine)s, %(revision)s, %(now)s)

-- segments.end_run
-- Store the outcome of a run.
UPDATE {ws}.segment_runs SET state = %(state)s, sequence = %(sequence)s, snapshot = %(snapshot)s,
    rows = %(rows)s, entered = %(entered)s, departed = %(departed)s, error = %(error)s,
    finished_at = %(now)s
WHERE ref = %(ref)s
RETURNING ref, segment_ref, kind, state, engine, revision, sequence, snapshot, rows, entered,
    departed, started_at, finished_at, error

-- segments.runs
-- The newest runs of a segment.
SELECT ref, segment_ref, kind, state, engine, revision, sequence, snapshot, rows, entered,
    departed, started_at, finished_at, error
FROM {ws}.segment_runs WHERE segment_ref = %(segment)s
ORDER BY started_at DESC, ref LIMIT %(limit)s

-- segments.fail_cut_off
-- Mark runs as failed that started before a time and have not finished.
UPDATE {ws}.segment_runs SET state = 'FAILED', finished_at = %(now)s,
    error = 'The run was cut off.'
WHERE state = 'RUNNING' AND started_at < %(before)s

-- segments.create_current_members
-- Create the temporary table for the members that a run finds; emptied at the end of a transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS current_members (guest_ref uuid PRIMARY KEY) ON COMMIT DELETE ROWS

-- segments.copy_current_members
-- Copy the members that a run found.
COPY pg_temp.current_members (guest_ref) FROM STDIN (FORMAT binary)

-- segments.depart
-- Delete members that a run did not find: of the guests that it calculated, or of all guests.
DELETE FROM {ws}.segment_members AS m
WHERE segment_ref = %(segment)s AND (%(guests)s::uuid[] IS NULL OR guest_ref = ANY (%(guests)s))
  AND NOT EXISTS (SELECT FROM pg_temp.current_members AS f WHERE f.guest_ref = m.guest_ref)
RETURNING guest_ref

-- segments.enter
-- Insert members that a run found and that were not stored.
INSERT INTO {ws}.segment_members (segment_ref, guest_ref, since)
SELECT %(segment)s, guest_ref, %(now)s FROM pg_temp.current_members
ON CONFLICT DO NOTHING
RETURNING guest_ref

-- segments.forget_members
-- Delete the stored members of a segment that is paused.
DELETE FROM {ws}.segment_members WHERE segment_ref = %(segment)s

-- segments.count_members
-- Count the stored members of a segment.
SELECT count(*) AS size FROM {ws}.segment_members WHERE segment_ref = %(segment)s

-- segments.of_guest
-- The Live segments that a guest is stored as a member of.
SELECT s.ref, s.friendly_id, s.name, m.since
FROM {ws}.segment_members AS m JOIN {ws}.segments AS s ON s.ref = m.segment_ref
WHERE m.guest_ref = %(guest)s ORDER BY s.name

-- segments.touch
-- Part of a flush: mark as changed the guests of the flushed rows, and their survivors.
WITH changed AS (
    SELECT ref AS guest_ref FROM pg_temp.lake_taken WHERE kind = 'guest'
    UNION
    SELECT c.guest_ref FROM pg_temp.lake_taken AS t
    JOIN {ws}.order_contacts AS c ON c.order_ref = t.ref WHERE t.kind = 'order'
    UNION
    SELECT s.guest_ref FROM pg_temp.lake_taken AS t
    JOIN {ws}.sessions AS s ON s.ref = t.ref WHERE t.kind = 'session'
    UNION
    SELECT e.guest_ref FROM pg_temp.lake_taken AS t
    JOIN {ws}.events AS e ON e.ref = t.ref AND e.at = t.at WHERE t.kind = 'event'
)
INSERT INTO {ws}.segment_queue (guest_ref)
SELECT guest_ref FROM changed
UNION
SELECT g.survivor_ref FROM changed JOIN {ws}.guests AS g ON g.ref = changed.guest_ref
WHERE g.survivor_ref IS NOT NULL

-- segments.any_live
-- Whether any segment is Live.
SELECT EXISTS (SELECT FROM {ws}.segments WHERE status = 'LIVE') AS live

-- segments.touched
-- Guests that changed since the last update of Live segments.
SELECT sequence, guest_ref FROM {ws}.segment_queue ORDER BY sequence LIMIT %(most)s

-- segments.forget_touched
-- Delete changed guests that the update of Live segments has handled.
DELETE FROM {ws}.segment_queue WHERE sequence = ANY (%(sequences)s)

-- segments.forget_guests
-- Delete erased guests from all segments; returns their memberships.
WITH untouched AS (DELETE FROM {ws}.segment_queue WHERE guest_ref = ANY (%(guests)s::uuid[])),
members AS (
    DELETE FROM {ws}.segment_members WHERE guest_ref = ANY (%(guests)s::uuid[])
    RETURNING segment_ref, guest_ref
), resized AS (
    UPDATE {ws}.segments AS s SET size = greatest(s.size - deleted.number, 0)
    FROM (SELECT segment_ref, count(*) AS number FROM members GROUP BY segment_ref) AS deleted
    WHERE s.ref = deleted.segment_ref
)
SELECT segment_ref, guest_ref FROM members

-- segments.forget_samples
-- Remove erased guests from the samples of segments.
UPDATE {ws}.segments SET sample = ARRAY(
    SELECT each FROM unnest(sample) AS each WHERE each <> ALL (%(guests)s::uuid[])
)
WHERE sample && %(guests)s::uuid[]

-- segments.empty_current_members
-- Empty the temporary table for the next segment.
DELETE FROM pg_temp.current_members
