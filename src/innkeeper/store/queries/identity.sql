-- identity.rulebook
-- All identity rules and guards of the workspace, with their version.
SELECT version, group_limit, region, placeholders_added, placeholders_removed, (
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'conditions', conditions)
                              ORDER BY position), '[]')
    FROM {ws}.identity_rules
) AS rules
FROM {ws}.identity_settings

-- identity.version
-- The version of the rules and guards in force.
SELECT version FROM {ws}.identity_settings

-- identity.candidates
-- Lock the keys (waits for other records with one of them), then return the version in force and
-- each guest with a key, absorbed ones too; at most `most` per key. The guest `current` has a row
-- without a key in addition.
SELECT * FROM {ws}.lock_and_find_candidates(
    %(locks)s::bigint[], %(keys)s::uuid[], %(most)s, %(current)s::uuid
)

-- identity.attach_person
-- Write a person on an order who is new, or matches a guest that gains no data, in one statement
-- (`attached` is true); otherwise return the candidates, as `identity.candidates` does. No row if
-- the order does not exist.
SELECT * FROM {ws}.attach_person(
    %(locks)s::bigint[], %(ordered_keys)s::uuid[], %(most)s, %(version)s::uuid, %(order)s::uuid,
    %(is_contact)s, %(person)s::uuid, %(record)s::jsonb, %(ref)s::uuid, %(guest_type)s::text,
    %(body)s::jsonb, %(guest_keys)s::uuid[], %(creation)s::jsonb, %(reasons)s::jsonb,
    %(settled)s::jsonpath, %(settled_types)s::text[], %(source)s::text, %(actor)s::text,
    %(now)s::timestamptz
)

-- identity.attach_people
-- The same for several people, once the keys of all are locked in order.
SELECT * FROM {ws}.attach_people(%(elements)s)

-- identity.insert_join
-- Store that a record joined a guest, with the reason.
INSERT INTO {ws}.guest_joins (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
VALUES (%(guest)s, %(rule)s, %(evidence)s, %(source)s, %(source_ref)s, %(actor)s, %(now)s)

-- identity.insert_creation_join
-- Part of `guests.create`: store that a record joined the new guest, with the reason.
, inserted_join AS (
    INSERT INTO {ws}.guest_joins (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
    SELECT ref, %(rule)s, %(evidence)s, %(source)s, %(source_ref)s, %(actor)s, %(now)s FROM created
)

-- identity.insert_guarded
-- Store evidence that a guard blocked.
INSERT INTO {ws}.guarded_evidence
    (rule, reason, evidence, guests, source, source_ref, actor, guarded_at)
VALUES (%(rule)s, %(reason)s, %(evidence)s, %(guests)s, %(source)s, %(source_ref)s, %(actor)s,
    %(now)s)

-- identity.guarded
-- A page of evidence that guards blocked, newest first, each row with the total.
SELECT rule, reason, evidence, guests, source, source_ref, actor, guarded_at,
    count(*) OVER () AS total
FROM {ws}.guarded_evidence ORDER BY sequence DESC LIMIT %(limit)s OFFSET %(offset)s

-- identity.lock_rules
-- Lock the rules against other changes until the transaction ends; read them after this.
SELECT version FROM {ws}.identity_settings FOR UPDATE

-- identity.delete_rules
-- Delete all rules, to store another list.
DELETE FROM {ws}.identity_rules

-- identity.set_rules
-- Store rules in the given order.
INSERT INTO {ws}.identity_rules (position, name, conditions)
SELECT position, rule ->> 'name', rule -> 'conditions'
FROM jsonb_array_elements(%(rules)s) WITH ORDINALITY AS ordered (rule, position)

-- identity.set_guards
-- Store the settings of the guards.
UPDATE {ws}.identity_settings
SET group_limit = %(group_limit)s, region = %(region)s,
    placeholders_added = %(placeholders_added)s::text[],
    placeholders_removed = %(placeholders_removed)s::text[]

-- identity.renew_version
-- Renew the version of rules and guards: every cached copy is out of date.
UPDATE {ws}.identity_settings SET version = gen_random_uuid()

-- identity.create_job
-- Create the job that applies a rule change to the existing guests, or undoes an application.
INSERT INTO {ws}.identity_jobs (ref, state, merging, undoes, rules_before, rules_after,
    awaited_transaction, actor, created_at)
VALUES (%(ref)s, 'waiting', %(merging)s, %(undoes)s, %(before)s, %(after)s,
    pg_current_xact_id(), %(actor)s, %(now)s)
RETURNING ref, state, merging, undoes, done, total, merged, actor, error, created_at, finished_at,
    false AS undoable

-- identity.job
-- One job. `undoable`: it is finished, and a merge that it made is in force.
SELECT ref, state, merging, undoes, done, total, merged, actor, error, created_at, finished_at,
    rules_before, rules_after, finished_at IS NOT NULL AND EXISTS (
        SELECT FROM {ws}.merges WHERE job_ref = identity_jobs.ref AND undone_at IS NULL
    ) AS undoable
FROM {ws}.identity_jobs WHERE ref = %(ref)s

-- identity.jobs
-- A page of jobs, newest first, each row with the total.
SELECT ref, state, merging, undoes, done, total, merged, actor, error, created_at, finished_at,
    finished_at IS NOT NULL AND EXISTS (
        SELECT FROM {ws}.merges WHERE job_ref = identity_jobs.ref AND undone_at IS NULL
    ) AS undoable, count(*) OVER () AS total_jobs
FROM {ws}.identity_jobs ORDER BY created_at DESC, ref LIMIT %(limit)s OFFSET %(offset)s

-- identity.undo_in_progress
-- The unfinished job that undoes an application.
SELECT ref FROM {ws}.identity_jobs WHERE undoes = %(ref)s AND finished_at IS NULL

-- identity.application_counts
-- The merges that an application made: those in force, and those undone one by one.
SELECT count(*) FILTER (WHERE undone_at IS NULL) AS merges,
    count(*) FILTER (WHERE undone_at IS NOT NULL) AS undone
FROM {ws}.merges WHERE job_ref = %(ref)s

-- identity.application_merges
-- The merges of an application that are in force, the last first; all of them without a limit.
SELECT ref, survivor_ref, absorbed_ref, rule, evidence, source, actor, merged_at, undone_at,
    undone_by
FROM {ws}.merges WHERE job_ref = %(ref)s AND undone_at IS NULL
ORDER BY merged_at DESC, ref LIMIT %(limit)s

-- identity.changed_survivors
-- Guests whose fields were written by their ref since an application merged others into them.
SELECT DISTINCT merges.survivor_ref FROM {ws}.merges
WHERE job_ref = %(ref)s AND undone_at IS NULL AND EXISTS (
    SELECT FROM {ws}.guest_journal
    WHERE guest_ref = merges.survivor_ref AND guest_journal.merges = '{}'
        AND intent ->> 'verb' IN ('patch', 'replace')
        AND (intent ->> 'at')::timestamptz >= merged_at
)
ORDER BY merges.survivor_ref LIMIT %(limit)s

-- identity.next_job
-- The oldest unfinished job. `stale`: a running statement may not see the job's rules. `clear`:
-- every transaction that began before the job settled has ended.
SELECT ref, state, merging, undoes, done, total, merged, last_guest_ref, actor,
    rules_after IS NOT NULL AS changes_rules, EXISTS (
        SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend'
            AND pid <> pg_backend_pid() AND age(backend_xmin) >= age(awaited_transaction::xid)
    ) AS stale,
    pg_snapshot_xmin(pg_current_snapshot()) > awaited_transaction AS clear
FROM {ws}.identity_jobs WHERE finished_at IS NULL ORDER BY created_at, ref LIMIT 1

-- identity.settle
-- Start settling: from now on every new statement sees the job's rules.
UPDATE {ws}.identity_jobs SET state = 'settling', awaited_transaction = pg_current_xact_id()
WHERE ref = %(ref)s

-- identity.try_lock_jobs
-- Try to lock the jobs for this connection; the lock ends with `identity.unlock_jobs` or with the
-- connection.
SELECT pg_try_advisory_lock(%(lock)s) AS is_locked

-- identity.unlock_jobs
-- Unlock the jobs for other connections.
SELECT pg_advisory_unlock(%(lock)s)

-- identity.set_progress
-- Store the progress of a job.
UPDATE {ws}.identity_jobs
SET state = %(state)s, done = %(done)s, total = %(total)s, merged = %(merged)s,
    last_guest_ref = coalesce(%(last_guest_ref)s::uuid, last_guest_ref)
WHERE ref = %(ref)s

-- identity.finish
-- Finish a job as `done` or `failed`.
UPDATE {ws}.identity_jobs SET state = %(state)s, error = %(error)s, finished_at = %(now)s
WHERE ref = %(ref)s

-- identity.count_guests
-- The number of guests, absorbed ones too, for progress reports.
SELECT count(*) AS guests FROM {ws}.guests

-- identity.guest_batch
-- The next guests in ref order, absorbed ones too.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged
FROM {ws}.guests WHERE %(after)s::uuid IS NULL OR ref > %(after)s
ORDER BY ref LIMIT %(limit)s

-- identity.key_form
-- The form in which the stored keys of guests were derived.
SELECT key_form FROM {ws}.identity_settings

-- identity.set_key_form
-- Store the form of the keys, once all of them have it.
UPDATE {ws}.identity_settings SET key_form = %(key_form)s

-- identity.batch_of_other_form
-- The next guests, in ref order, whose keys may differ by the form of derivation.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged
FROM {ws}.guests
WHERE (%(after)s::uuid IS NULL OR ref > %(after)s)
    AND ({ws}.has_unusual_characters(body) OR {ws}.has_unusual_characters(unmerged -> 'now' -> 'body'))
ORDER BY ref LIMIT %(limit)s FOR NO KEY UPDATE

-- identity.delete_keys
-- Delete all keys of guests, to add others.
DELETE FROM {ws}.guest_keys WHERE guest_ref = ANY (%(guests)s::uuid[])

-- identity.add_keys
-- Add keys to guests; guests that no longer exist are skipped.
INSERT INTO {ws}.guest_keys (key, guest_ref)
SELECT added.key, guests.ref
FROM unnest(%(keys)s::uuid[], %(guests)s::uuid[]) AS added (key, guest_ref)
JOIN {ws}.guests ON guests.ref = added.guest_ref
FOR KEY SHARE OF guests
ON CONFLICT DO NOTHING

-- identity.no_timeout
-- No statement timeout for the rest of this transaction.
SET LOCAL statement_timeout = 0

-- identity.create_plan
-- Temporary table of a plan: which guest has which key under which rule.
CREATE TEMPORARY TABLE identity_plan (rule smallint, key uuid, guest_ref uuid) ON COMMIT DROP

-- identity.copy_plan
-- Insert the keys of a batch of guests.
COPY identity_plan (rule, key, guest_ref) FROM STDIN (FORMAT binary)

-- identity.create_shared
-- Temporary table of the keys that several guests share.
CREATE TEMPORARY TABLE identity_shared (position bigint PRIMARY KEY, rule smallint, key uuid,
    guests bigint, owners uuid[]) ON COMMIT DROP

-- identity.fill_shared
-- Store each key that several guests share, first rule first, with its guests; if more than `most`
-- guests share it, with the first 20.
INSERT INTO identity_shared
SELECT row_number() OVER (ORDER BY rule, key), rule, key, count(*),
    CASE WHEN count(*) <= %(most)s THEN array_agg(guest_ref ORDER BY guest_ref)
         ELSE (array_agg(guest_ref ORDER BY guest_ref))[1:20] END
FROM identity_plan GROUP BY rule, key HAVING count(*) > 1

-- identity.shared_keys
-- A page of them.
SELECT position, rule, key, guests, owners FROM identity_shared
WHERE position > coalesce(%(after_position)s::bigint, 0) ORDER BY position LIMIT %(limit)s

-- identity.merges_by_rules
-- A page of the merges in force that rules made, oldest first.
SELECT ref, survivor_ref, absorbed_ref, evidence, merged_at FROM {ws}.merges
WHERE undone_at IS NULL AND rule IS NOT NULL AND (%(after_ref)s::uuid IS NULL
    OR (merged_at, ref) > (%(after_merged_at)s::timestamptz, %(after_ref)s::uuid))
ORDER BY merged_at, ref LIMIT %(limit)s

-- identity.survivors
-- The live guest of each guest, with the columns that decide which guest survives a merge.
SELECT guests.ref, coalesce(live.ref, guests.ref) AS live, coalesce(live.guest_type,
    guests.guest_type) AS guest_type, coalesce(live.created_at, guests.created_at) AS created_at
FROM {ws}.guests LEFT JOIN {ws}.guests AS live ON live.ref = guests.survivor_ref
WHERE guests.ref = ANY (%(guests)s::uuid[])
