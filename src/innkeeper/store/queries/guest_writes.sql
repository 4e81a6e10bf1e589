-- guest_writes.lock_keys
-- Wait for other arrivals with one of these keys.
SELECT count(pg_advisory_xact_lock(wanted.lock)) FROM (
    SELECT lock FROM unnest(%(locks)s::bigint[]) AS given (lock) ORDER BY lock OFFSET 0
) AS wanted

-- guest_writes.find
-- The guests that keys lead to, absorbed ones too; a key gives at most `most`.
SELECT wanted.key, owners.guest_ref AS ref
FROM unnest(%(keys)s::uuid[]) AS wanted (key)
CROSS JOIN LATERAL (
    SELECT guest_ref FROM {ws}.guest_keys WHERE guest_keys.key = wanted.key LIMIT %(most)s
) AS owners

-- guest_writes.lock_live
-- Live guests, held until the transaction ends.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, own
FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[]) AND survivor_ref IS NULL
ORDER BY ref FOR NO KEY UPDATE

-- guest_writes.read
-- Guests as they are, absorbed ones too.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, own
FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[])

-- guest_writes.copy_guests
-- New guests.
COPY {ws}.guests (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
FROM STDIN (FORMAT binary)

-- guest_writes.copy_keys
-- Keys of new guests.
COPY {ws}.guest_keys (key, guest_ref) FROM STDIN (FORMAT binary)

-- guest_writes.rewrite
-- New fields for locked guests that nothing is merged into.
UPDATE {ws}.guests AS g
SET guest_type = n.guest_type, body = n.body, first_seen = n.first_seen,
    last_seen = n.last_seen, modified_at = n.modified_at
FROM unnest(%(refs)s::uuid[], %(types)s::text[], %(bodies)s::jsonb[], %(first)s::timestamptz[],
    %(last)s::timestamptz[], %(modified)s::timestamptz[])
    AS n (ref, guest_type, body, first_seen, last_seen, modified_at)
WHERE g.ref = n.ref

-- guest_writes.first_seen
-- When a guest was first seen, as an import tells it.
UPDATE {ws}.guests SET first_seen = %(first_seen)s WHERE ref = %(ref)s

-- guest_writes.forget_keys
-- Keys that locked guests no longer have.
DELETE FROM {ws}.guest_keys AS k
USING unnest(%(keys)s::uuid[], %(refs)s::uuid[]) AS gone (key, ref)
WHERE k.key = gone.key AND k.guest_ref = gone.ref

-- guest_writes.add_keys
-- Keys that locked guests have now.
INSERT INTO {ws}.guest_keys (key, guest_ref)
SELECT key, ref FROM unnest(%(keys)s::uuid[], %(refs)s::uuid[]) AS added (key, ref)
ON CONFLICT DO NOTHING

-- guest_writes.extensions
-- Every data extension of guests.
SELECT guest_ref, name, key, pairs FROM {ws}.guest_extensions
WHERE guest_ref = ANY (%(refs)s::uuid[])

-- guest_writes.copy_extensions
-- Data extensions of new guests.
COPY {ws}.guest_extensions (guest_ref, name, key, ref, pairs, created_at, modified_at) FROM STDIN (FORMAT binary)

-- guest_writes.put_extensions
-- Data extensions of locked guests: what was under the same name and key goes.
INSERT INTO {ws}.guest_extensions AS e
    (guest_ref, name, key, ref, pairs, created_at, modified_at)
SELECT guest, name, key, ref, pairs, %(now)s, %(now)s
FROM unnest(%(guests)s::uuid[], %(names)s::text[], %(keys)s::text[], %(refs)s::uuid[],
    %(pairs)s::jsonb[]) AS n (guest, name, key, ref, pairs)
ON CONFLICT (guest_ref, name, key) DO UPDATE
SET pairs = excluded.pairs, single = false, modified_at = excluded.modified_at

-- guest_writes.copy_joins
-- Which records joined a guest, and why.
COPY {ws}.guest_joins (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
FROM STDIN (FORMAT binary)

-- guest_writes.copy_guarded
-- What guards kept from identifying.
COPY {ws}.identity_guarded
    (rule, reason, evidence, guests, source, source_ref, actor, guarded_at)
FROM STDIN (FORMAT binary)
