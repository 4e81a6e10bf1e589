-- sessions.go_on
-- Part of `events.append`: the session of one or several events as it is now.
UPDATE {ws}.sessions AS s SET version = s.version + %(count)s, started_at = %(started_at)s,
    last_at = %(last_at)s, expires_at = %(expires_at)s, cut_at = %(cut_at)s::timestamptz,
    cut_by = %(cut_by)s::text, events = %(events)s, about = %(about)s, cart = %(cart)s::jsonb,
    closed_at = %(closed_at)s::timestamptz, cart_type = %(cart_type)s::text,
    revenue = %(revenue)s::numeric, modified_at = %(now)s
FROM {ws}.stream_settings AS c
WHERE s.ref = %(session)s AND s.version = %(session_version)s AND c.version = %(settings)s
RETURNING s.ref, s.version, s.guest_ref

-- sessions.begin
-- Part of `events.append`: the event's session, which is new.
INSERT INTO {ws}.sessions (ref, browser_ref, guest_ref, channel, started_at, last_at, expires_at,
    cut_at, cut_by, events, about, cart, closed_at, cart_type, revenue, created_at, modified_at)
SELECT %(session)s, %(browser)s, coalesce(%(session_guest)s::uuid, held.guest_ref), %(channel)s,
    %(started_at)s, %(last_at)s, %(expires_at)s, %(cut_at)s::timestamptz, %(cut_by)s::text,
    %(events)s, %(about)s, %(cart)s::jsonb, %(closed_at)s::timestamptz, %(cart_type)s::text,
    %(revenue)s::numeric, %(now)s, %(now)s
FROM held WHERE (SELECT count(*) FROM touched) = (SELECT count(*) FROM beside)
RETURNING ref, version, guest_ref

-- sessions.one_begins
-- Part of `events.append`: one session of a browser begins after the other, and those beside it
-- know, so that none goes on as if it had not. The browser is locked before sessions, always.
beside AS (
    {beside}
), held AS (
    UPDATE {ws}.browsers AS b SET version = b.version + 1, channel = %(channel)s,
        point_of_sale = %(point_of_sale)s
    FROM {ws}.stream_settings AS c
    WHERE b.ref = %(browser)s AND c.version = %(settings)s AND {unchanged}
    RETURNING b.guest_ref, b.version
), touched AS (
    UPDATE {ws}.sessions AS n SET version = n.version + 1
    FROM held CROSS JOIN beside
    WHERE n.ref = beside.ref AND n.version = beside.version
    RETURNING n.ref
),

-- sessions.beside_as_read
-- Part of `sessions.one_begins`: the sessions beside it, as they were read.
SELECT * FROM unnest(%(near)s::uuid[], %(near_versions)s::bigint[]) AS known (ref, version)

-- sessions.browser_as_read
-- Part of `sessions.one_begins`: no other session began since the browser was read.
b.version = %(version)s

-- sessions.beside_unread
-- Part of `sessions.one_begins`: the only one that can be beside a session after all others.
SELECT ref, version FROM {ws}.sessions
WHERE browser_ref = %(browser)s AND channel = %(channel)s ORDER BY started_at DESC LIMIT 1

-- sessions.browser_unread
-- Part of `sessions.one_begins`: nothing goes on at that time or comes after it, no other session
-- began since this statement did, and the guest is not part of a merge.
b.version = (SELECT version FROM {ws}.browsers WHERE ref = %(browser)s)
AND NOT EXISTS (
    SELECT FROM {ws}.sessions
    WHERE browser_ref = b.ref AND channel = %(channel)s AND expires_at >= %(at)s
) AND EXISTS (
    SELECT FROM {ws}.guests
    WHERE ref = b.guest_ref AND survivor_ref IS NULL AND own IS NULL
)

-- sessions.see
-- Part of `events.append`: its guest was seen when the session began.
, seen AS (
    UPDATE {ws}.guests SET last_seen = %(started_at)s
    WHERE ref = (SELECT guest_ref FROM placed) AND last_seen < %(started_at)s
      AND survivor_ref IS NULL AND own IS NULL
)

-- sessions.touch
-- Sessions of a locked browser whose own next event must know of another's change.
UPDATE {ws}.sessions SET version = version + 1 WHERE ref = ANY (%(refs)s::uuid[])

-- sessions.put
-- A session of a locked browser, new or as it is now.
INSERT INTO {ws}.sessions (ref, browser_ref, guest_ref, channel, started_at, last_at, expires_at,
    cut_at, cut_by, events, about, cart, closed_at, cart_type, revenue, created_at, modified_at)
VALUES (%(session)s, %(browser)s, %(session_guest)s, %(channel)s, %(started_at)s, %(last_at)s,
    %(expires_at)s, %(cut_at)s::timestamptz, %(cut_by)s::text, %(events)s, %(about)s,
    %(cart)s::jsonb, %(closed_at)s::timestamptz,
    %(cart_type)s::text, %(revenue)s::numeric, %(now)s, %(now)s)
ON CONFLICT (ref) DO UPDATE SET version = sessions.version + 1, started_at = excluded.started_at, last_at = excluded.last_at,
    expires_at = excluded.expires_at, cut_at = excluded.cut_at, cut_by = excluded.cut_by,
    events = excluded.events, about = excluded.about, cart = excluded.cart,
    closed_at = excluded.closed_at, cart_type = excluded.cart_type, revenue = excluded.revenue,
    modified_at = excluded.modified_at

-- sessions.drop
-- Sessions of a locked browser whose events belong to others now.
DELETE FROM {ws}.sessions WHERE ref = ANY (%(refs)s::uuid[])

-- sessions.open_of_browser
-- The sessions of a locked browser that go on at that time, on any channel.
SELECT ref, guest_ref, started_at, last_at, expires_at, cart FROM {ws}.sessions
WHERE browser_ref = %(browser)s AND cut_at IS NULL AND expires_at >= %(at)s

-- sessions.cut
-- End a session of a locked browser: another person is there.
UPDATE {ws}.sessions SET version = version + 1, cut_at = %(cut_at)s::timestamptz,
    cut_by = 'person', expires_at = %(cut_at)s::timestamptz,
    closed_at = %(now)s, cart_type = %(cart_type)s::text, revenue = %(revenue)s::numeric, modified_at = %(now)s
WHERE ref = %(ref)s

-- sessions.idle
-- Some open sessions whose time is up, held until the transaction ends.
SELECT ref, cart FROM {ws}.sessions
WHERE closed_at IS NULL AND expires_at < %(now)s
ORDER BY ref LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED

-- sessions.close
-- End a held idle session.
UPDATE {ws}.sessions SET version = version + 1, closed_at = %(now)s, cart_type = %(cart_type)s,
    revenue = %(revenue)s::numeric, modified_at = %(now)s
WHERE ref = %(ref)s

-- sessions.of_guest
-- The latest sessions of a live guest and those it stands for.
SELECT s.ref, coalesce(g.survivor_ref, g.ref) AS guest_ref, s.browser_ref, s.channel,
    s.started_at, s.last_at, s.expires_at, s.cut_at, s.cut_by, s.events,
    s.about - %(without)s::text[] AS about, s.cart, s.closed_at, s.created_at, s.modified_at
FROM {ws}.sessions AS s JOIN {ws}.guests AS g ON g.ref = s.guest_ref
WHERE s.guest_ref IN (
    SELECT ref FROM {ws}.guests WHERE ref = %(guest)s OR survivor_ref = %(guest)s
) AND s.started_at >= %(since)s
ORDER BY s.started_at DESC, s.ref LIMIT %(most)s
