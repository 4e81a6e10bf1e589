-- events.append
-- Insert plain events, and write the sessions that they continue or start, if sessions, browsers and
-- configuration are as read: returns one row for each event that was written. Each state is that of
-- a session after the last of its events.
WITH state AS (
    {states}
), {start} continued AS (
    UPDATE {ws}.sessions AS s SET version = s.version + n.count, started_at = n.started_at,
        last_at = n.last_at, expires_at = n.expires_at, ended_at = n.ended_at, ended_by = n.ended_by,
        events = n.events, details = n.details, cart = n.cart, closed_at = n.closed_at,
        cart_type = n.cart_type, revenue = n.revenue, modified_at = n.now
    FROM state AS n
    WHERE s.ref = n.ref AND s.version = n.version {in_order}
    RETURNING s.ref, s.version - count AS before, owner
), stored AS NOT MATERIALIZED (
    SELECT * FROM continued {started}
)
INSERT INTO {ws}.events (ref, at, session_ref, guest_ref, browser_ref, number, type, channel,
    point_of_sale, timeout_seconds, ends_session, body, received_at)
SELECT e.ref, at, session_ref, e.guest_ref, browser_ref, before + number, type, channel,
    point_of_sale, timeout_seconds, ends_session, body, received_at
FROM ({events}) AS e JOIN stored ON stored.ref = session_ref
RETURNING ref, (
    SELECT coalesce(g.survivor_ref, g.ref) FROM stored JOIN {ws}.guests AS g ON g.ref = owner
    WHERE stored.ref = session_ref
) AS root

-- events.start_sessions
-- Part of `events.append`: insert the sessions that start, set `last_seen` of their guests, and raise
-- the versions of the neighbouring sessions, so that no event continues these in ignorance of the new
-- ones. Locks browsers before sessions and guests, each in order of their refs. `num_nulls` lets no
-- index serve but that of refs, also while PostgreSQL takes the table for a small one.
others AS (
    SELECT state.ref AS session, each.ref, each.version
    FROM state CROSS JOIN LATERAL unnest(near, near_versions) AS each (ref, version)
    WHERE state.version = 0
), locked AS (
    UPDATE {ws}.browsers AS b SET version = b.version + 1, channel = n.channel,
        point_of_sale = n.point_of_sale
    FROM state AS n
    WHERE n.version = 0 AND b.ref = browser AND b.version = browser_version
      AND b.ref = ANY (ARRAY(
          SELECT ref FROM {ws}.browsers
          WHERE ref = ANY (ARRAY(SELECT browser FROM state WHERE version = 0))
          ORDER BY ref FOR NO KEY UPDATE SKIP LOCKED
      ))
    RETURNING n.ref AS session
), raised AS (
    UPDATE {ws}.sessions AS s SET version = s.version + 1
    FROM locked JOIN others USING (session)
    WHERE s.ref = others.ref AND s.version = others.version
      AND s.ref = ANY (ARRAY(SELECT ref FROM others))
    RETURNING session
), added AS (
    INSERT INTO {ws}.sessions (ref, version, browser_ref, guest_ref, channel, started_at, last_at,
        expires_at, ended_at, ended_by, events, details, cart, closed_at, cart_type, revenue, created_at,
        modified_at)
    SELECT ref, count, browser, guest, channel, started_at, last_at, expires_at, ended_at, ended_by,
        events, details, cart, closed_at, cart_type, revenue, now, now
    FROM state JOIN locked ON session = ref
    WHERE (SELECT count(*) FROM raised WHERE session = ref)
        = (SELECT count(*) FROM others WHERE session = state.ref)
    RETURNING ref, guest_ref, started_at
), visits AS (
    UPDATE {ws}.guests AS g SET last_seen = at
    FROM (SELECT guest_ref, max(started_at) AS at FROM added GROUP BY guest_ref) AS latest
    WHERE g.ref = guest_ref AND g.last_seen < at AND num_nulls(survivor_ref, unmerged) = 2
      AND g.ref = ANY (ARRAY(
          SELECT ref FROM {ws}.guests WHERE ref = ANY (ARRAY(SELECT guest_ref FROM added))
          ORDER BY ref FOR NO KEY UPDATE
      ))
),

-- events.started_sessions
-- Part of `events.append`: the sessions that started.
UNION ALL
SELECT ref, 0, owner FROM added JOIN state USING (ref)

-- events.one_state
-- Part of `events.append`: one session that continues; plain parameters cost less than JSON.
SELECT %(session_ref)s::uuid AS ref, %(version)s::bigint AS version, 1 AS count,
    %(owner)s::uuid AS owner, %(started_at)s AS started_at, %(last_at)s AS last_at,
    %(expires_at)s AS expires_at, %(ended_at)s::timestamptz AS ended_at, %(ended_by)s AS ended_by,
    %(events)s::integer AS events, %(details)s AS details, %(cart)s::jsonb AS cart,
    %(closed_at)s::timestamptz AS closed_at, %(cart_type)s AS cart_type,
    %(revenue)s::numeric AS revenue, %(now)s AS now
FROM {ws}.stream_settings WHERE version = %(settings)s

-- events.one_event
-- Part of `events.append`: one event.
SELECT %(ref)s::uuid AS ref, %(at)s AS at, %(session_ref)s::uuid AS session_ref,
    %(guest_ref)s::uuid AS guest_ref, %(browser_ref)s::uuid AS browser_ref, 1 AS number,
    %(type)s AS type, %(channel)s AS channel, %(point_of_sale)s AS point_of_sale,
    %(timeout_seconds)s::integer AS timeout_seconds, %(ends_session)s AS ends_session,
    %(body)s AS body, %(received_at)s AS received_at

-- events.states
-- Part of `events.append`: several sessions.
SELECT * FROM jsonb_to_recordset(%(sessions)s) AS state (
    ref uuid, version bigint, count integer, settings uuid, guest uuid, browser uuid, owner uuid,
    browser_version bigint, near uuid[], near_versions bigint[], channel text,
    point_of_sale text, started_at timestamptz, last_at timestamptz, expires_at timestamptz,
    ended_at timestamptz, ended_by text, events integer, details jsonb, cart jsonb,
    closed_at timestamptz, cart_type text, revenue numeric, now timestamptz
) WHERE settings = (SELECT version FROM {ws}.stream_settings)

-- events.events
-- Part of `events.append`: several events, those of a session in order of arrival.
SELECT * FROM jsonb_populate_recordset(NULL::{ws}.events, %(records)s)

-- events.sessions_in_order
-- Part of `events.append`: lock several sessions in order of their refs; those that others have
-- locked are left out.
AND s.ref = ANY (ARRAY(
    SELECT ref FROM {ws}.sessions WHERE ref = ANY (ARRAY(SELECT ref FROM state))
    ORDER BY ref FOR NO KEY UPDATE SKIP LOCKED
))

-- events.begin
-- Insert an event that starts a session of an unread browser: returns one row, with `number`. It
-- starts one if no session is open at that time or starts later, no other session has started since
-- this statement did, and the guest is not part of a merge. Otherwise nothing is written and the
-- rows are those of `browsers.state`; OFFSET prevents that part from running if the event was
-- written.
WITH others AS (
    SELECT ref, version FROM {ws}.sessions
    WHERE browser_ref = %(browser_ref)s AND channel = %(channel)s ORDER BY started_at DESC LIMIT 1
), locked AS (
    UPDATE {ws}.browsers AS b SET version = b.version + 1, channel = %(channel)s,
        point_of_sale = %(point_of_sale)s
    FROM {ws}.stream_settings AS c
    WHERE b.ref = %(browser_ref)s AND c.version = %(settings)s
      AND b.version = (SELECT version FROM {ws}.browsers WHERE ref = %(browser_ref)s)
      AND NOT EXISTS (
          SELECT FROM {ws}.sessions
          WHERE browser_ref = b.ref AND channel = %(channel)s AND expires_at >= %(at)s
      ) AND EXISTS (
          SELECT FROM {ws}.guests
          WHERE ref = b.guest_ref AND num_nulls(survivor_ref, unmerged) = 2
      )
    RETURNING b.guest_ref, b.version
), raised AS (
    UPDATE {ws}.sessions AS n SET version = n.version + 1
    FROM locked CROSS JOIN others
    WHERE n.ref = others.ref AND n.version = others.version
    RETURNING n.ref
), added AS (
    INSERT INTO {ws}.sessions (ref, browser_ref, guest_ref, channel, started_at, last_at, expires_at,
        ended_at, ended_by, events, details, cart, closed_at, cart_type, revenue, created_at, modified_at)
    SELECT %(session_ref)s, %(browser_ref)s, locked.guest_ref, %(channel)s, %(started_at)s, %(last_at)s,
        %(expires_at)s, %(ended_at)s::timestamptz, %(ended_by)s::text, %(events)s, %(details)s,
        %(cart)s::jsonb, %(closed_at)s::timestamptz, %(cart_type)s::text, %(revenue)s::numeric,
        %(now)s, %(now)s
    FROM locked WHERE (SELECT count(*) FROM raised) = (SELECT count(*) FROM others)
    RETURNING ref, version, guest_ref
), visits AS (
    UPDATE {ws}.guests SET last_seen = %(started_at)s
    WHERE ref = (SELECT guest_ref FROM added) AND last_seen < %(started_at)s
      AND num_nulls(survivor_ref, unmerged) = 2
), written AS (
    INSERT INTO {ws}.events (ref, at, session_ref, guest_ref, browser_ref, number, type, channel,
        point_of_sale, timeout_seconds, ends_session, body, received_at)
    SELECT %(ref)s, %(at)s, added.ref, added.guest_ref, %(browser_ref)s,
        added.version, %(type)s,
        %(channel)s, %(point_of_sale)s, %(timeout_seconds)s, %(ends_session)s, %(body)s, %(received_at)s
    FROM added
    RETURNING number, guest_ref
)
SELECT started.*, browser.*
FROM (VALUES (true)) AS either LEFT JOIN (
    SELECT written.number, written.guest_ref AS owner, locked.version AS browser_version
    FROM written CROSS JOIN locked
) AS started ON true LEFT JOIN (
    SELECT * FROM {ws}.browser_state(%(browser_ref)s, %(channel)s, %(at)s, %(until)s)
    WHERE NOT EXISTS (SELECT FROM written) OFFSET 0
) AS browser ON true
ORDER BY browser.started_at, browser.expires_at

-- events.add_partition
-- Create the partition of a month if it does not exist.
SELECT {ws}.add_events_partition(%(instant)s)

-- events.settings
-- The configuration of the stream API with its version.
SELECT version, (
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'minutes', timeout_minutes,
                                                 'test', test)), '[]')
    FROM {ws}.points_of_sale
) AS points_of_sale, (
    SELECT coalesce(jsonb_object_agg(site, point_of_sale), '{}') FROM {ws}.site_aliases
) AS sites
FROM {ws}.stream_settings

-- events.of_sessions
-- Every event of some sessions by time, then by arrival.
SELECT ref, at, session_ref, number, type, point_of_sale, timeout_seconds, ends_session, body, received_at
FROM {ws}.events WHERE session_ref = ANY (%(sessions)s::uuid[])
  AND at BETWEEN %(since)s AND %(until)s
ORDER BY at, received_at, number

-- events.move
-- Move events of a locked browser to another session.
UPDATE {ws}.events SET session_ref = %(session)s
WHERE ref = ANY (%(refs)s::uuid[]) AND at BETWEEN %(since)s AND %(until)s

-- events.amend
-- Replace the body of an event.
UPDATE {ws}.events SET body = %(body)s WHERE at = %(at)s AND ref = %(ref)s

-- events.fetch
-- One event by time and ref, locked until the transaction ends.
SELECT ref, at, type, body FROM {ws}.events WHERE at = %(at)s AND ref = %(ref)s FOR NO KEY UPDATE

-- events.latest
-- The latest events of some sessions, newest first.
SELECT e.ref, e.at, e.session_ref, e.browser_ref, e.type, e.channel, e.point_of_sale, e.body,
    e.received_at
FROM unnest(%(sessions)s::uuid[], %(since)s::timestamptz[], %(until)s::timestamptz[])
    AS s (ref, since, until)
CROSS JOIN LATERAL (
    SELECT * FROM {ws}.events
    WHERE session_ref = s.ref AND at BETWEEN s.since AND s.until
    ORDER BY at DESC, received_at DESC, number DESC LIMIT %(most)s
) AS e
ORDER BY e.at DESC, e.received_at DESC, e.number DESC

-- events.types_in_sessions
-- The types of the latest events of each of some sessions, with their numbers.
SELECT s.ref, e.type, count(*) AS events
FROM {ws}.sessions AS s CROSS JOIN LATERAL (
    SELECT type FROM {ws}.events
    WHERE session_ref = s.ref AND at BETWEEN s.started_at AND s.last_at ORDER BY at DESC LIMIT %(most)s
) AS e
WHERE s.ref = ANY (%(sessions)s::uuid[]) GROUP BY s.ref, e.type

-- events.headlines
-- The fields of the latest events of a session that a timeline displays, newest first.
SELECT e.ref, e.at AS created_at, e.type, left(e.body ->> 'page', 2000) AS page,
    left(coalesce(p.product ->> 'name', p.product ->> 'item_id'), 2000) AS product,
    left(e.body -> 'data' ->> 'product_name', 2000) AS product_name,
    left(e.body -> 'data' ->> 'reference_id', 2000) AS reference_id,
    left(e.body -> 'data' ->> 'email', 2000) AS email
FROM {ws}.sessions AS s CROSS JOIN LATERAL (
    SELECT * FROM {ws}.events
    WHERE session_ref = s.ref AND at BETWEEN s.started_at AND s.last_at
      AND (%(type)s::text IS NULL OR type = %(type)s)
    ORDER BY at DESC, received_at DESC, number DESC LIMIT %(most)s
) AS e CROSS JOIN LATERAL (
    SELECT coalesce(e.body -> 'data' -> 'product' -> 0, e.body -> 'data' -> 'product') AS product
) AS p
WHERE s.ref = %(session)s
ORDER BY e.at DESC, e.received_at DESC, e.number DESC

-- events.of_session
-- Events of a session from one on, the oldest first: with all they hold.
SELECT e.ref, e.at, e.session_ref, e.browser_ref, e.type, e.channel, e.point_of_sale, e.body,
    e.received_at, e.number
FROM {ws}.sessions AS s CROSS JOIN LATERAL (
    SELECT * FROM {ws}.events
    WHERE session_ref = s.ref AND at BETWEEN s.started_at AND s.last_at
        AND (at, received_at, number) > (%(at)s, %(received_at)s, %(number)s)
    ORDER BY at, received_at, number LIMIT %(limit)s
) AS e
WHERE s.ref = %(session)s
ORDER BY e.at, e.received_at, e.number

-- events.kinds
-- The fixed types of attributes of an event type.
SELECT name, kind FROM {ws}.event_attributes
WHERE event_type = %(type)s AND name = ANY (%(names)s::text[])

-- events.learn_kinds
-- Fix the types of attributes that are new for an event type.
INSERT INTO {ws}.event_attributes (event_type, name, kind)
SELECT %(type)s, name, kind
FROM unnest(%(names)s::text[], %(kinds)s::text[]) AS attribute (name, kind)
ORDER BY name
ON CONFLICT DO NOTHING

-- events.types_with_attributes
-- Event types that have or had attributes.
SELECT DISTINCT event_type AS type FROM {ws}.event_attributes ORDER BY 1 LIMIT %(most)s
