-- rehearsal.begin
-- Tables of this connection alone, which take what would be written.
CREATE TEMPORARY TABLE IF NOT EXISTS rehearsed_guests (
    ref uuid PRIMARY KEY, guest_type text, body jsonb, first_seen timestamptz,
    last_seen timestamptz, created_at timestamptz, modified_at timestamptz
)

-- rehearsal.begin_keys
-- The same for keys.
CREATE TEMPORARY TABLE IF NOT EXISTS rehearsed_keys (
    key uuid, guest_ref uuid, PRIMARY KEY (key, guest_ref)
)

-- rehearsal.begin_extensions
-- The same for data extensions.
CREATE TEMPORARY TABLE IF NOT EXISTS rehearsed_extensions (
    guest_ref uuid, name text, key text, ref uuid, pairs jsonb, created_at timestamptz,
    modified_at timestamptz, PRIMARY KEY (guest_ref, name, key)
)

-- rehearsal.begin_orders
-- The same for orders.
CREATE TEMPORARY TABLE IF NOT EXISTS rehearsed_orders (
    ref uuid PRIMARY KEY, reference_id text, reference_key uuid, ordered_at timestamptz,
    body jsonb, created_at timestamptz, modified_at timestamptz
)

-- rehearsal.begin_orders_index
-- Found by their referenceId.
CREATE INDEX IF NOT EXISTS rehearsed_orders_by_reference ON rehearsed_orders (reference_key)

-- rehearsal.end
-- Nothing of it stays.
DROP TABLE IF EXISTS rehearsed_guests, rehearsed_keys, rehearsed_extensions, rehearsed_orders

-- rehearsal.lock_keys
-- Who only rehearses lets nobody wait.
SELECT %(locks)s::bigint[] IS NULL AS waited

-- rehearsal.find
-- The guests that keys lead to, those that would be there too.
SELECT wanted.key, owners.ref
FROM unnest(%(keys)s::uuid[]) AS wanted (key)
CROSS JOIN LATERAL (
    (SELECT guest_ref AS ref FROM {ws}.guest_keys WHERE guest_keys.key = wanted.key
     LIMIT %(most)s)
    UNION
    (SELECT guest_ref FROM rehearsed_keys WHERE rehearsed_keys.key = wanted.key LIMIT %(most)s)
) AS owners

-- rehearsal.lock_live
-- Live guests as they would be.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at,
    NULL::uuid AS survivor_ref, NULL::jsonb AS own, true AS rehearsed
FROM rehearsed_guests WHERE ref = ANY (%(refs)s::uuid[])
UNION ALL
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, own,
    false
FROM {ws}.guests AS g WHERE ref = ANY (%(refs)s::uuid[]) AND survivor_ref IS NULL
  AND NOT EXISTS (SELECT FROM rehearsed_guests AS r WHERE r.ref = g.ref)

-- rehearsal.read
-- Guests as they are, absorbed ones too.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, own,
    false AS rehearsed
FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[])

-- rehearsal.copy_guests
-- New guests.
COPY rehearsed_guests (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
FROM STDIN (FORMAT binary)

-- rehearsal.copy_keys
-- Keys of new guests.
COPY rehearsed_keys (key, guest_ref) FROM STDIN (FORMAT binary)

-- rehearsal.rewrite
-- New fields for guests.
INSERT INTO rehearsed_guests
    (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
SELECT n.ref, n.guest_type, n.body, n.first_seen, n.last_seen, n.first_seen, n.modified_at
FROM unnest(%(refs)s::uuid[], %(types)s::text[], %(bodies)s::jsonb[], %(first)s::timestamptz[],
    %(last)s::timestamptz[], %(modified)s::timestamptz[])
    AS n (ref, guest_type, body, first_seen, last_seen, modified_at)
ON CONFLICT (ref) DO UPDATE SET guest_type = excluded.guest_type, body = excluded.body,
    first_seen = excluded.first_seen, last_seen = excluded.last_seen,
    modified_at = excluded.modified_at

-- rehearsal.add_keys
-- Keys that guests would have.
INSERT INTO rehearsed_keys (key, guest_ref)
SELECT key, ref FROM unnest(%(keys)s::uuid[], %(refs)s::uuid[]) AS added (key, ref)
ON CONFLICT DO NOTHING

-- rehearsal.forget_keys
-- Keys that guests would lose; one that is stored stays, and no longer holds.
DELETE FROM rehearsed_keys AS k
USING unnest(%(keys)s::uuid[], %(refs)s::uuid[]) AS gone (key, ref)
WHERE k.key = gone.key AND k.guest_ref = gone.ref

-- rehearsal.extensions
-- Every data extension of guests.
SELECT guest_ref, name, key, pairs FROM rehearsed_extensions
WHERE guest_ref = ANY (%(refs)s::uuid[])
UNION ALL
SELECT guest_ref, name, key, pairs FROM {ws}.guest_extensions AS e
WHERE guest_ref = ANY (%(refs)s::uuid[]) AND NOT EXISTS (
    SELECT FROM rehearsed_extensions AS r
    WHERE r.guest_ref = e.guest_ref AND r.name = e.name AND r.key = e.key
)

-- rehearsal.copy_extensions
-- Data extensions of new guests.
COPY rehearsed_extensions (guest_ref, name, key, ref, pairs, created_at, modified_at) FROM STDIN (FORMAT binary)

-- rehearsal.put_extensions
-- Data extensions of guests.
INSERT INTO rehearsed_extensions
    (guest_ref, name, key, ref, pairs, created_at, modified_at)
SELECT guest, name, key, ref, pairs, %(now)s, %(now)s
FROM unnest(%(guests)s::uuid[], %(names)s::text[], %(keys)s::text[], %(refs)s::uuid[],
    %(pairs)s::jsonb[]) AS n (guest, name, key, ref, pairs)
ON CONFLICT (guest_ref, name, key) DO UPDATE SET pairs = excluded.pairs

-- rehearsal.find_orders
-- The orders with these referenceIds, those that would be there too.
SELECT ref, reference_id, ordered_at, body, created_at, modified_at, true AS rehearsed
FROM rehearsed_orders WHERE reference_key = ANY (%(keys)s::uuid[])
UNION ALL
SELECT ref, reference_id, ordered_at, body, created_at, modified_at, false
FROM {ws}.orders AS o WHERE reference_key = ANY (%(keys)s::uuid[])
  AND NOT EXISTS (SELECT FROM rehearsed_orders AS r WHERE r.ref = o.ref)

-- rehearsal.put_orders
-- Orders that would be there, or be so.
INSERT INTO rehearsed_orders
    (ref, reference_id, reference_key, ordered_at, body, created_at, modified_at)
SELECT ref, reference_id, reference_key, ordered_at, body, created_at, %(now)s
FROM unnest(%(refs)s::uuid[], %(ids)s::text[], %(keys)s::uuid[], %(times)s::timestamptz[],
    %(bodies)s::jsonb[], %(created)s::timestamptz[])
    AS n (ref, reference_id, reference_key, ordered_at, body, created_at)
ON CONFLICT (ref) DO UPDATE SET body = excluded.body
