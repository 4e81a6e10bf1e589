-- transfers.guests
-- Insert guests with their refs, or store newer fields of those that are in no merged group; returns
-- the refs of those that were written.
INSERT INTO {ws}.guests AS g
    (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at
FROM jsonb_populate_recordset(NULL::{ws}.guests, %(records)s) ORDER BY ref
ON CONFLICT (ref) DO UPDATE SET guest_type = excluded.guest_type, body = excluded.body,
    first_seen = excluded.first_seen, last_seen = excluded.last_seen,
    modified_at = excluded.modified_at
WHERE g.modified_at < excluded.modified_at AND g.survivor_ref IS NULL AND g.unmerged IS NULL
RETURNING ref

-- transfers.delete_keys
-- Delete the keys of guests whose fields were written.
DELETE FROM {ws}.guest_keys WHERE guest_ref = ANY (%(refs)s::uuid[])

-- transfers.guest_extensions
-- Store data extensions of guests, replacing those with the same name and key.
INSERT INTO {ws}.guest_extensions (guest_ref, name, key, ref, pairs, created_at, modified_at)
SELECT guest_ref, name, key, ref, pairs, created_at, modified_at
FROM jsonb_populate_recordset(NULL::{ws}.guest_extensions, %(records)s)
ON CONFLICT (guest_ref, name, key) DO UPDATE SET ref = excluded.ref, pairs = excluded.pairs,
    modified_at = excluded.modified_at

-- transfers.order_extensions
-- Store data extensions of orders, replacing those with the same name and key.
INSERT INTO {ws}.order_extensions (order_ref, name, key, ref, pairs, created_at, modified_at)
SELECT order_ref, name, key, ref, pairs, created_at, modified_at
FROM jsonb_populate_recordset(NULL::{ws}.order_extensions, %(records)s)
ON CONFLICT (order_ref, name, key) DO UPDATE SET ref = excluded.ref, pairs = excluded.pairs,
    modified_at = excluded.modified_at

-- transfers.item_extensions
-- Store data extensions of order items, replacing those with the same name and key.
INSERT INTO {ws}.order_item_extensions
    (order_item_ref, name, key, ref, pairs, created_at, modified_at)
SELECT order_item_ref, name, key, ref, pairs, created_at, modified_at
FROM jsonb_populate_recordset(NULL::{ws}.order_item_extensions, %(records)s)
ON CONFLICT (order_item_ref, name, key) DO UPDATE SET ref = excluded.ref,
    pairs = excluded.pairs, modified_at = excluded.modified_at

-- transfers.count_guest_parts
-- Identifiers and data extensions of guests.
SELECT coalesce(sum(jsonb_array_length(coalesce(body -> 'identifiers', '[]'))), 0) AS identifiers,
    (
        SELECT count(*) FROM {ws}.guest_extensions WHERE guest_ref = ANY (%(refs)s::uuid[])
    ) AS extensions
FROM {ws}.guests WHERE ref = ANY (%(refs)s::uuid[])

-- transfers.count_extensions
-- Data extensions of orders and order items.
SELECT (
    SELECT count(*) FROM {ws}.order_extensions WHERE order_ref = ANY (%(refs)s::uuid[])
) + (
    SELECT count(*) FROM {ws}.order_item_extensions WHERE order_item_ref = ANY (%(refs)s::uuid[])
) AS extensions

-- transfers.create_targets
-- Create a temporary table: keys of guests, and the guest that each was migrated to.
CREATE TEMPORARY TABLE IF NOT EXISTS transfer_targets (key uuid PRIMARY KEY, person jsonb NOT NULL)

-- transfers.add_targets
-- Add migrations: the key of an identifier, and the identifiers of the survivor.
INSERT INTO pg_temp.transfer_targets (key, person)
SELECT DISTINCT ON (key) key, person
FROM jsonb_to_recordset(%(records)s) AS target (key uuid, person jsonb)
ON CONFLICT (key) DO UPDATE SET person = excluded.person

-- transfers.targets
-- List the guests that those with some keys were migrated to.
SELECT key, person FROM pg_temp.transfer_targets WHERE key = ANY (%(keys)s::uuid[])

-- transfers.retired_guests
-- Insert guests that are merged into locked survivors; returns the refs of those that are new.
INSERT INTO {ws}.guests
    (ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref)
SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at, survivor_ref
FROM jsonb_populate_recordset(NULL::{ws}.guests, %(records)s) ORDER BY ref
ON CONFLICT (ref) DO NOTHING
RETURNING ref

-- transfers.merges
-- Insert the merges of retired guests, and the state of survivors before their first merge.
WITH merged AS (
    INSERT INTO {ws}.merges
        (ref, survivor_ref, absorbed_ref, rule, evidence, source, actor, merged_at)
    SELECT ref, survivor_ref, absorbed_ref, rule, evidence, source, actor, merged_at
    FROM jsonb_populate_recordset(NULL::{ws}.merges, %(merges)s)
)
UPDATE {ws}.guests AS g SET unmerged = n.unmerged
FROM jsonb_to_recordset(%(survivors)s) AS n (ref uuid, unmerged jsonb)
WHERE g.ref = n.ref AND g.unmerged IS NULL

-- transfers.orders
-- Insert orders with their refs, or store newer fields; returns the refs of those that were written.
INSERT INTO {ws}.orders AS o
    (ref, reference_id, reference_key, ordered_at, body, created_at, modified_at)
SELECT ref, reference_id, reference_key, ordered_at, body, created_at, modified_at
FROM jsonb_populate_recordset(NULL::{ws}.orders, %(records)s) ORDER BY ref
ON CONFLICT (ref) DO UPDATE SET body = excluded.body, modified_at = excluded.modified_at
WHERE o.modified_at < excluded.modified_at
RETURNING ref

-- transfers.items
-- Insert the items of stored orders, or store newer fields; returns the refs of those that
-- were written.
INSERT INTO {ws}.order_items AS i (ref, order_ref, ordered_at, body, created_at, modified_at)
SELECT n.ref, n.order_ref, n.ordered_at, n.body, n.created_at, n.modified_at
FROM jsonb_populate_recordset(NULL::{ws}.order_items, %(records)s) AS n
JOIN {ws}.orders AS o ON o.ref = n.order_ref ORDER BY n.ref
ON CONFLICT (ref) DO UPDATE SET body = excluded.body, ordered_at = excluded.ordered_at,
    modified_at = excluded.modified_at
WHERE i.modified_at < excluded.modified_at
RETURNING ref

-- transfers.contacts
-- Insert order contacts whose order and guest are stored, or store newer fields.
INSERT INTO {ws}.order_contacts AS c (ref, order_ref, guest_ref, body, created_at, modified_at)
SELECT n.ref, n.order_ref, n.guest_ref, n.body, n.created_at, n.modified_at
FROM jsonb_populate_recordset(NULL::{ws}.order_contacts, %(records)s) AS n
JOIN {ws}.orders AS o ON o.ref = n.order_ref JOIN {ws}.guests AS g ON g.ref = n.guest_ref
ORDER BY n.ref
ON CONFLICT (ref) DO UPDATE SET body = excluded.body, modified_at = excluded.modified_at
WHERE c.modified_at < excluded.modified_at

-- transfers.consumers
-- Insert order consumers whose order and guest are stored, or store newer fields.
INSERT INTO {ws}.order_consumers AS c (ref, order_ref, guest_ref, body, created_at, modified_at)
SELECT n.ref, n.order_ref, n.guest_ref, n.body, n.created_at, n.modified_at
FROM jsonb_populate_recordset(NULL::{ws}.order_consumers, %(records)s) AS n
JOIN {ws}.orders AS o ON o.ref = n.order_ref JOIN {ws}.guests AS g ON g.ref = n.guest_ref
ORDER BY n.ref
ON CONFLICT (ref) DO UPDATE SET body = excluded.body, modified_at = excluded.modified_at
WHERE c.modified_at < excluded.modified_at

-- transfers.uses
-- Insert the stored items that stored consumers use.
INSERT INTO {ws}.order_consumer_items (order_consumer_ref, order_item_ref, position)
SELECT n.order_consumer_ref, n.order_item_ref, n.position
FROM jsonb_populate_recordset(NULL::{ws}.order_consumer_items, %(records)s) AS n
JOIN {ws}.order_consumers AS c ON c.ref = n.order_consumer_ref
JOIN {ws}.order_items AS i ON i.ref = n.order_item_ref
ON CONFLICT DO NOTHING

-- transfers.sessions
-- Insert sessions of stored guests, or store a newer state.
INSERT INTO {ws}.sessions AS s (ref, browser_ref, guest_ref, version, channel, started_at, last_at,
    expires_at, events, details, closed_at, cart_type, revenue, created_at, modified_at)
SELECT n.ref, n.browser_ref, n.guest_ref, n.version, n.channel, n.started_at, n.last_at,
    n.expires_at, n.events, n.details, n.closed_at, n.cart_type, n.revenue, n.created_at,
    n.modified_at
FROM jsonb_populate_recordset(NULL::{ws}.sessions, %(records)s) AS n
JOIN {ws}.guests AS g ON g.ref = n.guest_ref WHERE n.browser_ref IS NOT NULL ORDER BY n.ref
ON CONFLICT (ref) DO UPDATE SET guest_ref = excluded.guest_ref, version = s.version + 1,
    last_at = excluded.last_at, expires_at = excluded.expires_at, details = excluded.details,
    closed_at = excluded.closed_at, cart_type = excluded.cart_type, revenue = excluded.revenue,
    modified_at = excluded.modified_at
WHERE s.modified_at < excluded.modified_at

-- transfers.browsers
-- Store the browsers of sessions: of the guest of their latest session, unless they were used here. New ones
-- are recorded for the undo of an import.
WITH written AS (
INSERT INTO {ws}.browsers AS b (ref, guest_ref, channel, point_of_sale, created_at)
SELECT DISTINCT ON (browser_ref) browser_ref, guest_ref, channel, details ->> 'point_of_sale',
    min(created_at) OVER (PARTITION BY browser_ref)
FROM {ws}.sessions WHERE browser_ref = ANY (%(refs)s::uuid[])
ORDER BY browser_ref, started_at DESC, ref
ON CONFLICT (ref) DO UPDATE SET guest_ref = excluded.guest_ref, channel = excluded.channel,
    point_of_sale = excluded.point_of_sale
WHERE b.version = 0 AND b.guest_ref <> excluded.guest_ref
RETURNING *, xmax = 0 AS is_new
)
SELECT {ws}.record_import_rows('browsers', 'INSERT', NULL, jsonb_agg(to_jsonb(w) - 'is_new'))
FROM written AS w WHERE is_new
HAVING current_setting('innkeeper.import', true) <> '' AND count(*) > 0

-- transfers.events
-- Insert events of stored sessions; members that an event lacks come from its session.
INSERT INTO {ws}.events (ref, at, session_ref, guest_ref, browser_ref, number, type, channel,
    point_of_sale, timeout_seconds, ends_session, body, received_at)
SELECT n.ref, n.at, s.ref, s.guest_ref, s.browser_ref,
    row_number() OVER (PARTITION BY s.ref ORDER BY n.at, n.ref), n.type,
    coalesce(n.channel, s.channel),
    coalesce(n.point_of_sale, s.details ->> 'point_of_sale', %(point_of_sale)s),
    n.timeout_seconds, n.ends_session,
    n.body, n.received_at
FROM jsonb_populate_recordset(NULL::{ws}.events, %(records)s) AS n
JOIN {ws}.sessions AS s ON s.ref = n.session_ref WHERE n.type IS NOT NULL
ON CONFLICT DO NOTHING

-- transfers.count_events
-- Store how many events sessions have, and the times that they span.
UPDATE {ws}.sessions AS s SET events = counted.events, version = s.version + 1,
    started_at = least(s.started_at, counted.first), last_at = greatest(s.last_at, counted.last),
    expires_at = greatest(s.expires_at, counted.last)
FROM (
    SELECT session_ref, count(*) AS events, min(at) AS first, max(at) AS last
    FROM {ws}.events WHERE session_ref = ANY (%(refs)s::uuid[]) GROUP BY session_ref
) AS counted
WHERE s.ref = counted.session_ref AND s.events <> counted.events

-- transfers.has_guests
-- Whether the workspace has guests.
SELECT EXISTS (SELECT FROM {ws}.guests) AS has_guests

-- transfers.absent
-- The refs of these that a table does not have.
SELECT ref FROM unnest(%(refs)s::uuid[]) AS requested (ref)
WHERE NOT EXISTS (SELECT FROM {table} AS t WHERE t.ref = requested.ref)

-- transfers.absent_events
-- The refs of these events that are not stored.
SELECT ref FROM unnest(%(refs)s::uuid[], %(times)s::timestamptz[]) AS requested (ref, at)
WHERE NOT EXISTS (SELECT FROM {ws}.events AS e WHERE e.ref = requested.ref AND e.at = requested.at)

-- transfers.of_guests
-- Table: guests.
{ws}.guests

-- transfers.of_orders
-- Table: orders.
{ws}.orders

-- transfers.of_items
-- Table: order items.
{ws}.order_items

-- transfers.of_contacts
-- Table: order contacts.
{ws}.order_contacts

-- transfers.of_consumers
-- Table: order consumers.
{ws}.order_consumers

-- transfers.of_sessions
-- Table: sessions.
{ws}.sessions

-- transfers.of_browsers
-- Table: browsers.
{ws}.browsers
