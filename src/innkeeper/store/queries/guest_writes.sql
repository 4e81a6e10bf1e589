-- guest_writes.lock_keys
-- Lock identity keys until the transaction ends, in order: waits for other records with them.
SELECT count(pg_advisory_xact_lock(ordered.lock)) FROM (
    SELECT lock FROM unnest(%(locks)s::bigint[]) AS each (lock) ORDER BY lock OFFSET 0
) AS ordered

-- guest_writes.find
-- The guests with these keys, absorbed ones too; at most `most` per key.
SELECT requested.key, owners.guest_ref AS ref
FROM unnest(%(keys)s::uuid[]) AS requested (key)
CROSS JOIN LATERAL (
    SELECT guest_ref FROM {ws}.guest_keys WHERE guest_keys.key = requested.key LIMIT %(most)s
) AS owners

-- guest_writes.lock_live
-- Lock live guests, in ref order, until the transaction ends.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged
FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[]) AND survivor_ref IS NULL
ORDER BY ref FOR NO KEY UPDATE

-- guest_writes.read
-- Guests, absorbed ones too, without a lock.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged
FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[])

-- guest_writes.copy_guests
-- Insert new guests.
COPY {ws}.guests (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
FROM STDIN (FORMAT binary)

-- guest_writes.copy_keys
-- Insert the keys of new guests.
COPY {ws}.guest_keys (key, guest_ref) FROM STDIN (FORMAT binary)

-- guest_writes.rewrite
-- Store new fields of locked guests that are in no merged group.
UPDATE {ws}.guests AS g
SET guest_type = n.guest_type, body = n.body, first_seen = n.first_seen,
    last_seen = n.last_seen, modified_at = n.modified_at
FROM unnest(%(refs)s::uuid[], %(types)s::text[], %(bodies)s::jsonb[], %(first)s::timestamptz[],
    %(last)s::timestamptz[], %(modified)s::timestamptz[])
    AS n (ref, guest_type, body, first_seen, last_seen, modified_at)
WHERE g.ref = n.ref

-- guest_writes.first_seen
-- Store when a guest was first seen, as an import states it.
UPDATE {ws}.guests SET first_seen = %(first_seen)s WHERE ref = %(ref)s

-- guest_writes.delete_keys
-- Delete keys that locked guests no longer have.
DELETE FROM {ws}.guest_keys AS k
USING unnest(%(keys)s::uuid[], %(refs)s::uuid[]) AS deleted (key, ref)
WHERE k.key = deleted.key AND k.guest_ref = deleted.ref

-- guest_writes.add_keys
-- Insert new keys of locked guests.
INSERT INTO {ws}.guest_keys (key, guest_ref)
SELECT key, ref FROM unnest(%(keys)s::uuid[], %(refs)s::uuid[]) AS added (key, ref)
ON CONFLICT DO NOTHING

-- guest_writes.extensions
-- Every data extension of guests.
SELECT guest_ref, name, key, pairs FROM {ws}.guest_extensions
WHERE guest_ref = ANY (%(refs)s::uuid[])

-- guest_writes.copy_extensions
-- Insert the data extensions of new guests.
COPY {ws}.guest_extensions (guest_ref, name, key, ref, pairs, created_at, modified_at) FROM STDIN (FORMAT binary)

-- guest_writes.put_extensions
-- Store data extensions of locked guests, replacing those with the same name and key.
INSERT INTO {ws}.guest_extensions AS e
    (guest_ref, name, key, ref, pairs, created_at, modified_at)
SELECT guest, name, key, ref, pairs, %(now)s, %(now)s
FROM unnest(%(guests)s::uuid[], %(names)s::text[], %(keys)s::text[], %(refs)s::uuid[],
    %(pairs)s::jsonb[]) AS n (guest, name, key, ref, pairs)
ON CONFLICT (guest_ref, name, key) DO UPDATE
SET pairs = excluded.pairs, single = false, modified_at = excluded.modified_at

-- guest_writes.copy_joins
-- Insert joins: which record joined which guest, with the reason.
COPY {ws}.guest_joins (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
FROM STDIN (FORMAT binary)

-- guest_writes.copy_guarded
-- Insert evidence that guards blocked.
COPY {ws}.guarded_evidence
    (rule, reason, evidence, guests, source, source_ref, actor, guarded_at)
FROM STDIN (FORMAT binary)
