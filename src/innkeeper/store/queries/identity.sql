-- identity.rulebook
-- Everything a workspace decides identity by, with the version it is.
SELECT version, group_limit, region, never, (
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'conditions', conditions)
                              ORDER BY position), '[]')
    FROM {ws}.identity_rules
) AS rules
FROM {ws}.identity_settings

-- identity.lock_keys
-- Arrivals of one person wait here, keys in one order; a statement of its own, so that what
-- follows sees the first one's guest.
SELECT pg_advisory_xact_lock(lock) FROM unnest(%(locks)s::bigint[]) AS lock

-- identity.candidates
-- The version in force, and each guest that a key leads to, absorbed ones too: up to `most` a key.
SELECT settings.version, found.*
FROM {ws}.identity_settings AS settings
LEFT JOIN (
    SELECT wanted.key, guests.ref, guest_type, body, first_seen, last_seen, created_at,
        modified_at, survivor_ref, own
    FROM unnest(%(keys)s::uuid[]) AS wanted (key)
    CROSS JOIN LATERAL (
        SELECT guest_ref FROM {ws}.guest_keys WHERE guest_keys.key = wanted.key
        LIMIT %(most)s
    ) AS owners
    JOIN {ws}.guests ON guests.ref = owners.guest_ref
) AS found ON true

-- identity.note_join
-- That a record joined a guest, and why.
INSERT INTO {ws}.guest_joins (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
VALUES (%(guest)s, %(rule)s, %(evidence)s, %(source)s, %(source_ref)s, %(actor)s, %(now)s)

-- identity.note_guarded
-- That a guard kept something from identifying.
INSERT INTO {ws}.identity_guarded
    (rule, reason, evidence, guests, source, source_ref, actor, guarded_at)
VALUES (%(rule)s, %(reason)s, %(evidence)s, %(guests)s, %(source)s, %(source_ref)s, %(actor)s,
    %(now)s)
