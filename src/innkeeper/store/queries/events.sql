-- events.append
-- Insert an event and write its session, if session, browser and configuration are as read.
WITH {before}stored_session AS (
    {session}
){more}
{insert}
RETURNING number AS version, (
    SELECT coalesce(g.survivor_ref, g.ref) FROM {ws}.guests AS g WHERE g.ref = %(browser_guest)s
) AS root

-- events.begin
-- Insert an event that starts a session of an unread browser: returns one row, with `number`. If it
-- may not start one, nothing is written and the rows are those of `browsers.state`. OFFSET prevents
-- that part from running if the event was written.
WITH {before}stored_session AS (
    {session}
){more}, written AS (
    {insert}
    RETURNING number, guest_ref
)
SELECT started.*, browser.*
FROM (VALUES (true)) AS either LEFT JOIN (
    SELECT written.number, written.guest_ref AS owner, locked.version AS browser_version
    FROM written CROSS JOIN locked
) AS started ON true LEFT JOIN (
    {state} WHERE NOT EXISTS (SELECT FROM written) OFFSET 0
) AS browser ON true
ORDER BY browser.started_at, browser.expires_at

-- events.append_all
-- Insert several events, in order of arrival, and update the session that they continue.
WITH stored_session AS (
    {session}
)
INSERT INTO {ws}.events (ref, at, session_ref, guest_ref, browser_ref, number, type, channel,
    point_of_sale, reach, cuts, body, received_at)
SELECT each.ref, each.at, stored_session.ref, %(guest)s, %(browser)s,
    stored_session.version - %(count)s + each.number, each.type, %(channel)s, %(point_of_sale)s,
    each.reach, false, each.body, each.received_at
FROM stored_session CROSS JOIN ROWS FROM (
    unnest(%(refs)s::uuid[], %(times)s::timestamptz[], %(types)s::text[], %(reaches)s::integer[],
        %(received)s::timestamptz[]),
    jsonb_array_elements(%(bodies)s)
) WITH ORDINALITY AS each (ref, at, type, reach, received_at, body, number)
RETURNING (
    SELECT coalesce(g.survivor_ref, g.ref) FROM {ws}.guests AS g WHERE g.ref = %(browser_guest)s
) AS root

-- events.insert
-- Part of `events.append`: the event itself.
INSERT INTO {ws}.events (ref, at, session_ref, guest_ref, browser_ref, number, type, channel,
    point_of_sale, reach, cuts, body, received_at)
SELECT %(ref)s, %(at)s, stored_session.ref, coalesce(%(guest)s::uuid, stored_session.guest_ref), %(browser)s,
    stored_session.version, %(type)s, %(channel)s, %(point_of_sale)s, %(reach)s, %(cuts)s, %(body)s,
    %(received_at)s
FROM stored_session

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
SELECT ref, at, session_ref, number, type, point_of_sale, reach, cuts, body, received_at
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
