-- dry_run.begin
-- Create the temporary table of a dry run that receives the guests it would write.
CREATE TEMPORARY TABLE IF NOT EXISTS dry_run_guests (
    ref uuid PRIMARY KEY, guest_type text, body jsonb, first_seen timestamptz,
    last_seen timestamptz, created_at timestamptz, modified_at timestamptz
)

-- dry_run.begin_keys
-- Create the temporary table for keys.
CREATE TEMPORARY TABLE IF NOT EXISTS dry_run_keys (
    key uuid, guest_ref uuid, PRIMARY KEY (key, guest_ref)
)

-- dry_run.begin_extensions
-- Create the temporary table for data extensions.
CREATE TEMPORARY TABLE IF NOT EXISTS dry_run_extensions (
    guest_ref uuid, name text, key text, ref uuid, pairs jsonb, created_at timestamptz,
    modified_at timestamptz, PRIMARY KEY (guest_ref, name, key)
)

-- dry_run.begin_orders
-- Create the temporary table for orders.
CREATE TEMPORARY TABLE IF NOT EXISTS dry_run_orders (
    ref uuid PRIMARY KEY, reference_id text, reference_key uuid, ordered_at timestamptz,
    body jsonb, created_at timestamptz, modified_at timestamptz
)

-- dry_run.begin_orders_index
-- Index the temporary orders by referenceId.
CREATE INDEX IF NOT EXISTS dry_run_orders_by_reference ON dry_run_orders (reference_key)

-- dry_run.end
-- Drop the temporary tables of a dry run.
DROP TABLE IF EXISTS dry_run_guests, dry_run_keys, dry_run_extensions, dry_run_orders

-- dry_run.lock_keys
-- A dry run locks nothing, so that no other connection waits.
SELECT %(locks)s::bigint[] IS NULL AS waited

-- dry_run.find
-- The guests with these keys: the stored ones and those of the dry run.
SELECT requested.key, owners.ref
FROM unnest(%(keys)s::uuid[]) AS requested (key)
CROSS JOIN LATERAL (
    (SELECT guest_ref AS ref FROM {ws}.guest_keys WHERE guest_keys.key = requested.key
     LIMIT %(most)s)
    UNION
    (SELECT guest_ref FROM dry_run_keys WHERE dry_run_keys.key = requested.key LIMIT %(most)s)
) AS owners

-- dry_run.lock_live
-- Live guests as the dry run would leave them, without a lock.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at,
    NULL::uuid AS survivor_ref, NULL::jsonb AS own, true AS of_dry_run
FROM dry_run_guests WHERE ref = ANY (%(refs)s::uuid[])
UNION ALL
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, own,
    false
FROM {ws}.guests AS g WHERE ref = ANY (%(refs)s::uuid[]) AND survivor_ref IS NULL
  AND NOT EXISTS (SELECT FROM dry_run_guests AS r WHERE r.ref = g.ref)

-- dry_run.read
-- Stored guests, absorbed ones too.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, own,
    false AS of_dry_run
FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[])

-- dry_run.copy_guests
-- Insert new guests.
COPY dry_run_guests (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
FROM STDIN (FORMAT binary)

-- dry_run.copy_keys
-- Insert the keys of new guests.
COPY dry_run_keys (key, guest_ref) FROM STDIN (FORMAT binary)

-- dry_run.rewrite
-- Write new fields of guests.
INSERT INTO dry_run_guests
    (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
SELECT n.ref, n.guest_type, n.body, n.first_seen, n.last_seen, n.first_seen, n.modified_at
FROM unnest(%(refs)s::uuid[], %(types)s::text[], %(bodies)s::jsonb[], %(first)s::timestamptz[],
    %(last)s::timestamptz[], %(modified)s::timestamptz[])
    AS n (ref, guest_type, body, first_seen, last_seen, modified_at)
ON CONFLICT (ref) DO UPDATE SET guest_type = excluded.guest_type, body = excluded.body,
    first_seen = excluded.first_seen, last_seen = excluded.last_seen,
    modified_at = excluded.modified_at

-- dry_run.add_keys
-- Insert new keys of guests.
INSERT INTO dry_run_keys (key, guest_ref)
SELECT key, ref FROM unnest(%(keys)s::uuid[], %(refs)s::uuid[]) AS added (key, ref)
ON CONFLICT DO NOTHING

-- dry_run.forget_keys
-- Delete keys that guests would no longer have. Stored keys stay: matching finds that their guest
-- does not hold them.
DELETE FROM dry_run_keys AS k
USING unnest(%(keys)s::uuid[], %(refs)s::uuid[]) AS deleted (key, ref)
WHERE k.key = deleted.key AND k.guest_ref = deleted.ref

-- dry_run.extensions
-- Every data extension of guests: those of the dry run, and the stored ones they do not replace.
SELECT guest_ref, name, key, pairs FROM dry_run_extensions
WHERE guest_ref = ANY (%(refs)s::uuid[])
UNION ALL
SELECT guest_ref, name, key, pairs FROM {ws}.guest_extensions AS e
WHERE guest_ref = ANY (%(refs)s::uuid[]) AND NOT EXISTS (
    SELECT FROM dry_run_extensions AS r
    WHERE r.guest_ref = e.guest_ref AND r.name = e.name AND r.key = e.key
)

-- dry_run.copy_extensions
-- Insert the data extensions of new guests.
COPY dry_run_extensions (guest_ref, name, key, ref, pairs, created_at, modified_at) FROM STDIN (FORMAT binary)

-- dry_run.put_extensions
-- Write data extensions of guests, replacing those with the same name and key.
INSERT INTO dry_run_extensions
    (guest_ref, name, key, ref, pairs, created_at, modified_at)
SELECT guest, name, key, ref, pairs, %(now)s, %(now)s
FROM unnest(%(guests)s::uuid[], %(names)s::text[], %(keys)s::text[], %(refs)s::uuid[],
    %(pairs)s::jsonb[]) AS n (guest, name, key, ref, pairs)
ON CONFLICT (guest_ref, name, key) DO UPDATE SET pairs = excluded.pairs

-- dry_run.find_orders
-- The orders with these referenceIds: those of the dry run, and stored ones it does not replace.
SELECT ref, reference_id, ordered_at, body, created_at, modified_at, true AS of_dry_run
FROM dry_run_orders WHERE reference_key = ANY (%(keys)s::uuid[])
UNION ALL
SELECT ref, reference_id, ordered_at, body, created_at, modified_at, false
FROM {ws}.orders AS o WHERE reference_key = ANY (%(keys)s::uuid[])
  AND NOT EXISTS (SELECT FROM dry_run_orders AS r WHERE r.ref = o.ref)

-- dry_run.put_orders
-- Write new or changed orders.
INSERT INTO dry_run_orders
    (ref, reference_id, reference_key, ordered_at, body, created_at, modified_at)
SELECT ref, reference_id, reference_key, ordered_at, body, created_at, %(now)s
FROM unnest(%(refs)s::uuid[], %(ids)s::text[], %(keys)s::uuid[], %(times)s::timestamptz[],
    %(bodies)s::jsonb[], %(created)s::timestamptz[])
    AS n (ref, reference_id, reference_key, ordered_at, body, created_at)
ON CONFLICT (ref) DO UPDATE SET body = excluded.body
