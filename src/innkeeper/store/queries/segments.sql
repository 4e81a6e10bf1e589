-- segments.columns
-- What is read of a segment.
ref, friendly_id, name, status, came_from, tags, definition, revision, archived, size,
previous_size, total, sample, last_run_at, last_live_at, webhook, webhook_secret, modified_by,
created_at, modified_at

-- segments.create
-- A new segment and its first revision; no row when its friendly id is taken.
WITH created AS (
    INSERT INTO {ws}.segments
        (ref, friendly_id, name, status, tags, definition, webhook, webhook_secret, modified_by,
         created_at, modified_at)
    VALUES (%(ref)s, %(friendly_id)s, %(name)s, %(status)s, %(tags)s, %(definition)s, %(webhook)s,
        %(webhook_secret)s, %(actor)s, %(now)s, %(now)s)
    ON CONFLICT (friendly_id) DO NOTHING
    RETURNING {columns}
), revised AS (
    INSERT INTO {ws}.segment_revisions
        (segment_ref, revision, name, definition, modified_by, modified_at)
    SELECT ref, revision, name, definition, modified_by, modified_at FROM created
)
SELECT * FROM created

-- segments.fetch
-- One segment by ref or friendly id.
SELECT {columns} FROM {ws}.segments WHERE ref = %(ref)s OR friendly_id = %(friendly_id)s

-- segments.lock
-- One segment by ref, held until the transaction ends.
SELECT {columns} FROM {ws}.segments WHERE ref = %(ref)s FOR NO KEY UPDATE

-- segments.lock_whole
-- One segment by ref, which nothing can refer to anew until the transaction ends.
SELECT {columns} FROM {ws}.segments WHERE ref = %(ref)s FOR UPDATE

-- segments.hold
-- The ref of a segment by ref or friendly id, kept from being deleted until the transaction ends.
SELECT ref FROM {ws}.segments WHERE ref = %(ref)s OR friendly_id = %(friendly_id)s FOR KEY SHARE

-- segments.list
-- Every segment, newest first.
SELECT {columns} FROM {ws}.segments ORDER BY created_at DESC, ref

-- segments.publishing
-- Segments that are to be calculated for the first time and made Live.
SELECT ref FROM {ws}.segments WHERE status = 'PUBLISHING' ORDER BY created_at, ref

-- segments.in_status
-- Segments in any of some statuses, oldest first.
SELECT {columns} FROM {ws}.segments WHERE status = ANY (%(statuses)s) ORDER BY created_at, ref

-- segments.rewrite
-- A locked segment as it is now, and its new revision.
WITH written AS (
    UPDATE {ws}.segments SET name = %(name)s, tags = %(tags)s, definition = %(definition)s,
        webhook = %(webhook)s, webhook_secret = %(webhook_secret)s, archived = %(archived)s,
        revision = revision + 1, modified_by = %(actor)s,
        modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
    WHERE ref = %(ref)s
    RETURNING {columns}
), revised AS (
    INSERT INTO {ws}.segment_revisions
        (segment_ref, revision, name, definition, modified_by, modified_at)
    SELECT ref, revision, name, definition, modified_by, modified_at FROM written
)
SELECT * FROM written

-- segments.delete
-- Remove a segment with its runs and members.
DELETE FROM {ws}.segments WHERE ref = %(ref)s

-- segments.set_status
-- Another status for a locked segment.
UPDATE {ws}.segments SET status = %(status)s, came_from = %(came_from)s,
    last_live_at = CASE WHEN %(status)s = 'LIVE' THEN %(now)s ELSE last_live_at END
WHERE ref = %(ref)s
RETURNING {columns}

-- segments.calculated
-- What the last run of a segment found.
UPDATE {ws}.segments SET previous_size = CASE WHEN %(keep_previous)s THEN previous_size ELSE size END,
    size = %(size)s, total = %(total)s, sample = %(sample)s, last_run_at = %(now)s
WHERE ref = %(ref)s

-- segments.revisions
-- What a segment was, newest first.
SELECT revision, name, definition, modified_by, modified_at
FROM {ws}.segment_revisions WHERE segment_ref = %(ref)s ORDER BY revision DESC

-- segments.begin_run
-- Note that a run began.
INSERT INTO {ws}.segment_runs (ref, segment_ref, kind, state, engine, revision, started_at)
VALUES (%(ref)s, %(segment)s, %(kind)s, 'RUNNING', %(engine)s, %(revision)s, %(now)s)

-- segments.end_run
-- Note how a run ended.
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
-- Runs that have been running for longer than any may were cut off.
UPDATE {ws}.segment_runs SET state = 'FAILED', finished_at = %(now)s,
    error = 'The run was cut off.'
WHERE state = 'RUNNING' AND started_at < %(before)s

-- segments.make_found
-- Where the guests that a run found are put; empty again when its transaction ends.
CREATE TEMPORARY TABLE IF NOT EXISTS segment_found (guest_ref uuid PRIMARY KEY) ON COMMIT DELETE ROWS

-- segments.copy_found
-- The guests that a run found.
COPY pg_temp.segment_found (guest_ref) FROM STDIN (FORMAT binary)

-- segments.depart
-- Take out who is no member any more: of those asked about, or of all.
DELETE FROM {ws}.segment_members AS m
WHERE segment_ref = %(segment)s AND (%(asked)s::uuid[] IS NULL OR guest_ref = ANY (%(asked)s))
  AND NOT EXISTS (SELECT FROM pg_temp.segment_found AS f WHERE f.guest_ref = m.guest_ref)
RETURNING guest_ref

-- segments.enter
-- Put in who is a member now.
INSERT INTO {ws}.segment_members (segment_ref, guest_ref, since)
SELECT %(segment)s, guest_ref, %(now)s FROM pg_temp.segment_found
ON CONFLICT DO NOTHING
RETURNING guest_ref

-- segments.forget_members
-- Nobody is stored as a member of a segment that is not calculated.
DELETE FROM {ws}.segment_members WHERE segment_ref = %(segment)s

-- segments.count_members
-- How many are stored as members.
SELECT count(*) AS size FROM {ws}.segment_members WHERE segment_ref = %(segment)s

-- segments.members
-- Stored members, in a stable order.
SELECT guest_ref, since FROM {ws}.segment_members WHERE segment_ref = %(segment)s
ORDER BY guest_ref LIMIT %(limit)s OFFSET %(offset)s

-- segments.of_guest
-- The Live segments that a guest is stored as a member of.
SELECT s.ref, s.friendly_id, s.name, m.since
FROM {ws}.segment_members AS m JOIN {ws}.segments AS s ON s.ref = m.segment_ref
WHERE m.guest_ref = %(guest)s ORDER BY s.name

-- segments.touch
-- Part of a flush: the guests behind what it took, and who stands for them, where a Live segment
-- or a notice of one may depend on them.
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
INSERT INTO {ws}.segment_touched (guest_ref)
SELECT guest_ref FROM changed
UNION
SELECT g.survivor_ref FROM changed JOIN {ws}.guests AS g ON g.ref = changed.guest_ref
WHERE g.survivor_ref IS NOT NULL

-- segments.any_live
-- Whether any segment is Live.
SELECT EXISTS (SELECT FROM {ws}.segments WHERE status = 'LIVE') AS live

-- segments.touched
-- Guests that changed since Live segments looked at them.
SELECT sequence, guest_ref FROM {ws}.segment_touched ORDER BY sequence LIMIT %(most)s

-- segments.forget_touched
-- Guests that Live segments have looked at.
DELETE FROM {ws}.segment_touched WHERE sequence = ANY (%(sequences)s)

-- segments.forget_all_touched
-- Guests that nobody needs to look at: no segment is Live.
DELETE FROM {ws}.segment_touched

-- segments.forget_guests
-- Take guests that are erased out of all memberships; what they were members of.
WITH gone AS (DELETE FROM {ws}.segment_touched WHERE guest_ref = ANY (%(guests)s::uuid[])),
members AS (
    DELETE FROM {ws}.segment_members WHERE guest_ref = ANY (%(guests)s::uuid[])
    RETURNING segment_ref, guest_ref
), fewer AS (
    UPDATE {ws}.segments AS s SET size = greatest(s.size - lost.number, 0)
    FROM (SELECT segment_ref, count(*) AS number FROM members GROUP BY segment_ref) AS lost
    WHERE s.ref = lost.segment_ref
)
SELECT segment_ref, guest_ref FROM members

-- segments.forget_samples
-- Take guests that are erased out of the samples of segments.
UPDATE {ws}.segments SET sample = ARRAY(
    SELECT each FROM unnest(sample) AS each WHERE each <> ALL (%(guests)s::uuid[])
)
WHERE sample && %(guests)s::uuid[]

-- segments.empty_found
-- Room for the next segment's guests.
DELETE FROM pg_temp.segment_found
