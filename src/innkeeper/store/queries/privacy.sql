-- privacy.lock_groups
-- Lock live guests with the guests merged into them, so that no more rows can refer to them.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged
FROM {ws}.guests WHERE ref = ANY (%(roots)s::uuid[]) OR survivor_ref = ANY (%(roots)s::uuid[])
ORDER BY ref FOR UPDATE

-- privacy.root
-- The survivor of a guest; itself if it is live.
SELECT coalesce(survivor_ref, ref) AS root FROM {ws}.guests WHERE ref = %(ref)s

-- privacy.open_sessions
-- Which of these live guests have an open session, by themselves or by a guest merged into them.
SELECT DISTINCT coalesce(g.survivor_ref, g.ref) AS root
FROM {ws}.guests AS g JOIN {ws}.sessions AS s ON s.guest_ref = g.ref
WHERE (g.ref = ANY (%(roots)s::uuid[]) OR g.survivor_ref = ANY (%(roots)s::uuid[]))
  AND s.closed_at IS NULL AND s.ended_at IS NULL AND s.expires_at >= %(now)s

-- privacy.orders
-- Orders to delete with their guests: those without another contact (G-7).
SELECT o.ref FROM {ws}.orders AS o
WHERE o.ref IN (
    SELECT order_ref FROM {ws}.order_contacts WHERE guest_ref = ANY (%(guests)s::uuid[])
    UNION ALL
    SELECT order_ref FROM {ws}.order_consumers WHERE guest_ref = ANY (%(guests)s::uuid[])
) AND NOT EXISTS (
    SELECT FROM {ws}.order_contacts AS c
    WHERE c.order_ref = o.ref AND NOT c.guest_ref = ANY (%(guests)s::uuid[])
)

-- privacy.erase_orders
-- Delete erased orders.
DELETE FROM {ws}.orders WHERE ref = ANY (%(orders)s::uuid[])

-- privacy.erase_answers
-- Delete stored first responses that name an erased guest or order.
DELETE FROM {ws}.idempotency WHERE EXISTS (
    SELECT FROM regexp_matches(convert_from(body, 'UTF8'),
        '([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})', 'g') AS ref
    WHERE ref[1]::uuid = ANY (%(guests)s::uuid[] || %(orders)s::uuid[])
)

-- privacy.erase_guarded
-- Delete blocked evidence of the guests.
DELETE FROM {ws}.guarded_evidence WHERE guests && %(guests)s::uuid[]

-- privacy.erase_events
-- Delete the events of the guests.
DELETE FROM {ws}.events WHERE guest_ref = ANY (%(guests)s::uuid[])

-- privacy.erase_sessions
-- Delete the sessions of the guests.
DELETE FROM {ws}.sessions WHERE guest_ref = ANY (%(guests)s::uuid[])

-- privacy.erase_quarantine
-- Delete quarantined events of the guests.
DELETE FROM {ws}.quarantine WHERE guest_ref = ANY (%(guests)s::uuid[])
   OR browser_ref IN (SELECT ref FROM {ws}.browsers WHERE guest_ref = ANY (%(guests)s::uuid[]))

-- privacy.erase_browsers
-- Delete the browsers of the guests.
DELETE FROM {ws}.browsers WHERE guest_ref = ANY (%(guests)s::uuid[])

-- privacy.erase_extensions
-- Delete the data extensions of the guests.
DELETE FROM {ws}.guest_extensions WHERE guest_ref = ANY (%(guests)s::uuid[])

-- privacy.erase_merges
-- Delete the merges of the guests, with their evidence.
DELETE FROM {ws}.merges
WHERE survivor_ref = ANY (%(guests)s::uuid[]) OR absorbed_ref = ANY (%(guests)s::uuid[])

-- privacy.erase_journal
-- Delete the journalled changes of the guests.
DELETE FROM {ws}.guest_journal
WHERE guest_ref = ANY (%(guests)s::uuid[]) OR source_ref = ANY (%(guests)s::uuid[])

-- privacy.erase_joins
-- Delete the joins of records to the guests, with their evidence.
DELETE FROM {ws}.guest_joins WHERE guest_ref = ANY (%(guests)s::uuid[])

-- privacy.erase_keys
-- Delete the identity keys of the guests.
DELETE FROM {ws}.guest_keys WHERE guest_ref = ANY (%(guests)s::uuid[])

-- privacy.erase_failures
-- Delete failures of batch records that have the ref of a guest.
DELETE FROM {ws}.batch_failures
WHERE ref = ANY (SELECT ref::text FROM unnest(%(guests)s::uuid[]) AS erased (ref))

-- privacy.erase_jobs
-- Delete finished background jobs that name a guest.
DELETE FROM jobs.procrastinate_jobs
WHERE status NOT IN ('todo', 'doing') AND EXISTS (
    SELECT FROM unnest(%(guests)s::uuid[]) AS erased (ref)
    WHERE position(ref::text IN args::text) > 0
)

-- privacy.erase_guests
-- Delete the guests.
DELETE FROM {ws}.guests WHERE ref = ANY (%(guests)s::uuid[])

-- privacy.insert_erased
-- Store erased guests that must still be removed from files at rest.
INSERT INTO {ws}.erased_identifiers (digest, guest_ref, erased_at)
SELECT digest, guest_ref, %(now)s
FROM unnest(%(digests)s::bytea[], %(guests)s::uuid[]) AS new (digest, guest_ref)
-- Always in the same order, so that two erasures cannot deadlock.
ORDER BY digest
ON CONFLICT (digest) DO UPDATE SET erased_at = excluded.erased_at

-- privacy.erased
-- The erased guests that must still be removed from files at rest.
SELECT digest, guest_ref, erased_at FROM {ws}.erased_identifiers

-- privacy.delete_erased
-- Delete erased guests that are removed from files at rest, unless they were erased again since.
DELETE FROM {ws}.erased_identifiers AS e USING unnest(%(digests)s::bytea[], %(times)s::timestamptz[])
    AS done (digest, erased_at)
WHERE e.digest = done.digest AND e.erased_at = done.erased_at

-- privacy.guests
-- Guests with all their columns.
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref, unmerged
FROM {ws}.guests WHERE ref = ANY (%(guests)s::uuid[]) ORDER BY created_at, ref

-- privacy.extensions
-- Data extensions of guests.
SELECT guest_ref, name, key, ref, pairs, created_at, modified_at FROM {ws}.guest_extensions
WHERE guest_ref = ANY (%(guests)s::uuid[]) ORDER BY created_at, name, key

-- privacy.orders_of
-- Orders that guests are contacts or consumers of.
SELECT ref, reference_id, ordered_at, body, created_at, modified_at FROM {ws}.orders
WHERE ref IN (
    SELECT order_ref FROM {ws}.order_contacts WHERE guest_ref = ANY (%(guests)s::uuid[])
    UNION
    SELECT order_ref FROM {ws}.order_consumers WHERE guest_ref = ANY (%(guests)s::uuid[])
) ORDER BY ordered_at, ref

-- privacy.order_extensions_of
-- Data extensions of the orders that guests are contacts of.
SELECT order_ref, name, key, pairs, created_at, modified_at FROM {ws}.order_extensions
WHERE order_ref IN (
    SELECT order_ref FROM {ws}.order_contacts WHERE guest_ref = ANY (%(guests)s::uuid[])
) ORDER BY created_at, name

-- privacy.item_extensions_of
-- Data extensions of the items of orders that guests are contacts of.
SELECT e.order_item_ref, e.name, e.key, e.pairs, e.created_at, e.modified_at
FROM {ws}.order_item_extensions AS e JOIN {ws}.order_items AS i ON i.ref = e.order_item_ref
WHERE i.order_ref IN (
    SELECT order_ref FROM {ws}.order_contacts WHERE guest_ref = ANY (%(guests)s::uuid[])
) ORDER BY e.created_at, e.name

-- privacy.browsers
-- Browsers of guests.
SELECT ref, guest_ref, channel, point_of_sale, created_at FROM {ws}.browsers
WHERE guest_ref = ANY (%(guests)s::uuid[]) ORDER BY created_at, ref

-- privacy.sessions
-- Sessions of guests.
SELECT ref, browser_ref, guest_ref, channel, started_at, last_at, details, cart, cart_type, revenue
FROM {ws}.sessions WHERE guest_ref = ANY (%(guests)s::uuid[]) ORDER BY started_at, ref

-- privacy.events
-- Events of guests.
SELECT ref, session_ref, browser_ref, guest_ref, at, type, channel, point_of_sale, body,
    received_at
FROM {ws}.events WHERE guest_ref = ANY (%(guests)s::uuid[]) ORDER BY at, ref

-- privacy.quarantine
-- Quarantined events of guests.
SELECT ref, reason, detail, message, type, browser_ref, received_at FROM {ws}.quarantine
WHERE guest_ref = ANY (%(guests)s::uuid[])
   OR browser_ref IN (SELECT ref FROM {ws}.browsers WHERE guest_ref = ANY (%(guests)s::uuid[]))
ORDER BY received_at, ref

-- privacy.merges
-- Merges of guests.
SELECT ref, survivor_ref, absorbed_ref, rule, evidence, source, actor, merged_at, undone_at,
    undone_by
FROM {ws}.merges
WHERE survivor_ref = ANY (%(guests)s::uuid[]) OR absorbed_ref = ANY (%(guests)s::uuid[])
ORDER BY merged_at, ref

-- privacy.journal
-- Journalled changes of guests, stored to undo merges.
SELECT guest_ref, source_ref, merges, intent FROM {ws}.guest_journal
WHERE guest_ref = ANY (%(guests)s::uuid[]) ORDER BY sequence

-- privacy.joins
-- Joins of records to guests, and the creation reasons of posted guests.
SELECT guest_ref, rule, evidence, source, source_ref, actor, joined_at FROM (
    SELECT guest_ref, rule, evidence, source, source_ref, actor, joined_at, sequence
    FROM {ws}.guest_joins WHERE guest_ref = ANY (%(guests)s::uuid[])
    UNION ALL
    SELECT ref, creation_reason ->> 'rule', creation_reason -> 'evidence', 'guest', NULL,
        creation_reason ->> 'actor', created_at, 0
    FROM {ws}.guests WHERE ref = ANY (%(guests)s::uuid[]) AND creation_reason IS NOT NULL
) AS joins ORDER BY sequence, guest_ref

-- privacy.guarded
-- Blocked evidence of guests.
SELECT rule, reason, evidence, guests, source, source_ref, actor, guarded_at
FROM {ws}.guarded_evidence WHERE guests && %(guests)s::uuid[] ORDER BY sequence

-- privacy.segments_of
-- Segments that guests are stored as members of.
SELECT s.ref AS segment_ref, s.name, m.guest_ref, m.since
FROM {ws}.segment_members AS m JOIN {ws}.segments AS s ON s.ref = m.segment_ref
WHERE m.guest_ref = ANY (%(guests)s::uuid[]) ORDER BY m.since, s.name

-- privacy.audience_exports_of
-- Files of audience exports at rest that contain guests.
SELECT e.name, f.execution_ref, f.number, f.delta_action, x.finished_at
FROM {ws}.export_files AS f JOIN {ws}.export_executions AS x ON x.ref = f.execution_ref
JOIN {ws}.exports AS e ON e.ref = x.export_ref
WHERE f.guests && %(guests)s::uuid[] ORDER BY x.finished_at, f.number

-- privacy.answers
-- Stored first responses that name guests.
SELECT status, convert_from(body, 'UTF8') AS body, created_at FROM {ws}.idempotency
WHERE EXISTS (
    SELECT FROM regexp_matches(convert_from(body, 'UTF8'),
        '([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})', 'g') AS ref
    WHERE ref[1]::uuid = ANY (%(guests)s::uuid[])
)
