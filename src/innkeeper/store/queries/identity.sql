-- identity.rulebook
-- Everything a workspace decides identity by, with the version it is.
SELECT version, group_limit, region, never_added, never_removed, (
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'conditions', conditions)
                              ORDER BY position), '[]')
    FROM {ws}.identity_rules
) AS rules
FROM {ws}.identity_settings

-- identity.version
-- Which rules and guards are in force.
SELECT version FROM {ws}.identity_settings

-- identity.candidates
-- Wait for other arrivals with one of these keys, then: the version in force, and each guest
-- that a key leads to, absorbed ones too.
SELECT * FROM {ws}.identity_candidates(%(locks)s::bigint[], %(keys)s::uuid[], %(most)s)

-- identity.attach_person
-- Someone on an order whom nobody knows yet, or who is known and tells nothing new, written as a
-- whole (`made`); else the candidates, as `identity.candidates` tells them. No row when there is no
-- such order.
SELECT * FROM {ws}.attach_person(
    %(locks)s::bigint[], %(wanted)s::uuid[], %(most)s, %(version)s::uuid, %(order)s::uuid,
    %(is_contact)s, %(person)s::uuid, %(told)s::jsonb, %(ref)s::uuid, %(guest_type)s::text,
    %(body)s::jsonb, %(guest_keys)s::uuid[], %(rule)s::text, %(evidence)s::jsonb,
    %(reasons)s::jsonb, %(members)s::text[], %(identifiers)s::jsonb, %(source)s::text,
    %(actor)s::text, %(now)s::timestamptz
)

-- identity.note_join
-- That a record joined a guest, and why.
INSERT INTO {ws}.guest_joins (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
VALUES (%(guest)s, %(rule)s, %(evidence)s, %(source)s, %(source_ref)s, %(actor)s, %(now)s)

-- identity.note_created
-- Part of creating a guest: that a record joined it, and why.
, noted AS (
    INSERT INTO {ws}.guest_joins (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
    SELECT ref, %(rule)s, %(evidence)s, %(source)s, %(source_ref)s, %(actor)s, %(now)s FROM created
)

-- identity.note_guarded
-- That a guard kept something from identifying.
INSERT INTO {ws}.identity_guarded
    (rule, reason, evidence, guests, source, source_ref, actor, guarded_at)
VALUES (%(rule)s, %(reason)s, %(evidence)s, %(guests)s, %(source)s, %(source_ref)s, %(actor)s,
    %(now)s)

-- identity.guarded
-- A page of what guards stopped, newest first, each row with the number of all.
SELECT rule, reason, evidence, guests, source, source_ref, actor, guarded_at,
    count(*) OVER () AS total
FROM {ws}.identity_guarded ORDER BY sequence DESC LIMIT %(limit)s OFFSET %(offset)s

-- identity.one_at_a_time
-- Wait for whoever else changes rules; what is read after this is what they left.
SELECT version FROM {ws}.identity_settings FOR UPDATE

-- identity.clear_rules
-- Make room for another list of rules.
DELETE FROM {ws}.identity_rules

-- identity.set_rules
-- The rules in their order.
INSERT INTO {ws}.identity_rules (position, name, conditions)
SELECT position, rule ->> 'name', rule -> 'conditions'
FROM jsonb_array_elements(%(rules)s) WITH ORDINALITY AS given (rule, position)

-- identity.set_guards
-- What guards go by.
UPDATE {ws}.identity_settings
SET group_limit = %(group_limit)s, region = %(region)s,
    never_added = %(never_added)s::text[], never_removed = %(never_removed)s::text[]

-- identity.changed
-- Rules or guards are others now: everybody's remembered ones are out of date.
UPDATE {ws}.identity_settings SET version = gen_random_uuid()

-- identity.create_job
-- A rule change to be carried through the existing guests.
INSERT INTO {ws}.identity_jobs (ref, state, merging, after, actor, created_at)
VALUES (%(ref)s, 'waiting', %(merging)s, pg_current_xact_id(), %(actor)s, %(now)s)
RETURNING ref, state, merging, done, total, merged, actor, error, created_at, finished_at

-- identity.job
-- One job.
SELECT ref, state, merging, done, total, merged, actor, error, created_at, finished_at
FROM {ws}.identity_jobs WHERE ref = %(ref)s

-- identity.jobs
-- A page of jobs, newest first, each row with the number of all.
SELECT ref, state, merging, done, total, merged, actor, error, created_at, finished_at,
    count(*) OVER () AS total_jobs
FROM {ws}.identity_jobs ORDER BY created_at DESC, ref LIMIT %(limit)s OFFSET %(offset)s

-- identity.next_job
-- The oldest job that is not finished; whether a statement under way may not see its rules, and
-- whether every transaction is over that began before it settled.
SELECT ref, state, merging, done, total, merged, reached, actor, EXISTS (
        SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend'
            AND pid <> pg_backend_pid() AND age(backend_xmin) >= age(after::xid)
    ) AS stale,
    pg_snapshot_xmin(pg_current_snapshot()) > after AS clear
FROM {ws}.identity_jobs WHERE finished_at IS NULL ORDER BY created_at, ref LIMIT 1

-- identity.settle
-- From now on every statement sees the job's rules.
UPDATE {ws}.identity_jobs SET state = 'settling', after = pg_current_xact_id()
WHERE ref = %(ref)s

-- identity.claim
-- Whether this connection may run jobs: one does at a time, until it lets go or breaks.
SELECT pg_try_advisory_lock(%(lock)s) AS mine

-- identity.let_go
-- Let another connection run jobs.
SELECT pg_advisory_unlock(%(lock)s)

-- identity.progress
-- How far a job is.
UPDATE {ws}.identity_jobs
SET state = %(state)s, done = %(done)s, total = %(total)s, merged = %(merged)s,
    reached = coalesce(%(reached)s::uuid, reached)
WHERE ref = %(ref)s

-- identity.finish
-- A job is over.
UPDATE {ws}.identity_jobs SET state = %(state)s, error = %(error)s, finished_at = %(now)s
WHERE ref = %(ref)s

-- identity.count_guests
-- How many guests there are, absorbed ones too, for a progress bar.
SELECT count(*) AS guests FROM {ws}.guests

-- identity.batch
-- The next guests in ref order, absorbed ones too.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, own
FROM {ws}.guests WHERE %(after)s::uuid IS NULL OR ref > %(after)s
ORDER BY ref LIMIT %(limit)s

-- identity.key_form
-- How the keys of the guests were derived.
SELECT key_form FROM {ws}.identity_settings

-- identity.set_key_form
-- All keys are derived so now.
UPDATE {ws}.identity_settings SET key_form = %(key_form)s

-- identity.batch_of_other_form
-- The next guests, in ref order, whose keys another derivation may have made different.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, own
FROM {ws}.guests
WHERE (%(after)s::uuid IS NULL OR ref > %(after)s)
    AND ({ws}.has_other_form(body) OR {ws}.has_other_form(own -> 'now' -> 'body'))
ORDER BY ref LIMIT %(limit)s FOR NO KEY UPDATE

-- identity.forget_keys
-- Take all keys of guests away, to give them others.
DELETE FROM {ws}.guest_keys WHERE guest_ref = ANY (%(guests)s::uuid[])

-- identity.add_keys
-- More keys for guests that are still there.
INSERT INTO {ws}.guest_keys (key, guest_ref)
SELECT added.key, guests.ref
FROM unnest(%(keys)s::uuid[], %(guests)s::uuid[]) AS added (key, guest_ref)
JOIN {ws}.guests ON guests.ref = added.guest_ref
FOR KEY SHARE OF guests
ON CONFLICT DO NOTHING

-- identity.patient
-- What follows in this transaction may take its time.
SET LOCAL statement_timeout = 0

-- identity.begin_plan
-- Where a plan collects which guest has which key under which rule.
CREATE TEMPORARY TABLE identity_plan (rule smallint, key uuid, guest_ref uuid) ON COMMIT DROP

-- identity.copy_plan
-- Keys of a batch of guests.
COPY identity_plan (rule, key, guest_ref) FROM STDIN (FORMAT binary)

-- identity.shared
-- Each key that several guests share, first rule first; of a key that too many share, a few.
SELECT rule, key, count(*) AS guests,
    CASE WHEN count(*) <= %(most)s THEN array_agg(guest_ref ORDER BY guest_ref)
         ELSE (array_agg(guest_ref ORDER BY guest_ref))[1:20] END AS owners
FROM identity_plan GROUP BY rule, key HAVING count(*) > 1 ORDER BY rule, key

-- identity.standing
-- Who stands for guests, and what makes one of them survive.
SELECT guests.ref, coalesce(live.ref, guests.ref) AS live, coalesce(live.guest_type,
    guests.guest_type) AS guest_type, coalesce(live.created_at, guests.created_at) AS created_at
FROM {ws}.guests LEFT JOIN {ws}.guests AS live ON live.ref = guests.survivor_ref
WHERE guests.ref = ANY (%(guests)s::uuid[])
