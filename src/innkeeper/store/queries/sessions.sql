-- sessions.continue
-- Part of `events.append`: update the session that one or several events continue.
UPDATE {ws}.sessions AS s SET version = s.version + %(count)s, started_at = %(started_at)s,
    last_at = %(last_at)s, expires_at = %(expires_at)s, cut_at = %(cut_at)s::timestamptz,
    cut_by = %(cut_by)s::text, events = %(events)s, about = %(about)s, cart = %(cart)s::jsonb,
    closed_at = %(closed_at)s::timestamptz, cart_type = %(cart_type)s::text,
    revenue = %(revenue)s::numeric, modified_at = %(now)s
FROM {ws}.stream_settings AS c
WHERE s.ref = %(session)s AND s.version = %(session_version)s AND c.version = %(settings)s
RETURNING s.ref, s.version, s.guest_ref

-- sessions.begin
-- Part of `events.append`: insert the new session of the event.
INSERT INTO {ws}.sessions (ref, browser_ref, guest_ref, channel, started_at, last_at, expires_at,
    cut_at, cut_by, events, about, cart, closed_at, cart_type, revenue, created_at, modified_at)
SELECT %(session)s, %(browser)s, coalesce(%(session_guest)s::uuid, locked.guest_ref), %(channel)s,
    %(started_at)s, %(last_at)s, %(expires_at)s, %(cut_at)s::timestamptz, %(cut_by)s::text,
    %(events)s, %(about)s, %(cart)s::jsonb, %(closed_at)s::timestamptz, %(cart_type)s::text,
    %(revenue)s::numeric, %(now)s, %(now)s
FROM locked WHERE (SELECT count(*) FROM raised) = (SELECT count(*) FROM beside)
RETURNING ref, version, guest_ref

-- sessions.one_begins
-- Part of `events.append`: start one session of a browser at a time, and raise the versions of its
-- neighbours, so that no event continues them in ignorance of it. Locks the browser before sessions.
beside AS (
    {beside}
), locked AS (
    UPDATE {ws}.browsers AS b SET version = b.version + 1, channel = %(channel)s,
        point_of_sale = %(point_of_sale)s
    FROM {ws}.stream_settings AS c
    WHERE b.ref = %(browser)s AND c.version = %(settings)s AND {unchanged}
    RETURNING b.guest_ref, b.version
), raised AS (
    UPDATE {ws}.sessions AS n SET version = n.version + 1
    FROM locked CROSS JOIN beside
    WHERE n.ref = beside.ref AND n.version = beside.version
    RETURNING n.ref
),

-- sessions.beside_as_read
-- Part of `sessions.one_begins`: the neighbouring sessions with their versions as read.
SELECT * FROM unnest(%(near)s::uuid[], %(near_versions)s::bigint[]) AS as_read (ref, version)

-- sessions.browser_as_read
-- Part of `sessions.one_begins`: no other session has started since the browser was read.
b.version = %(version)s

-- sessions.beside_unread
-- Part of `sessions.one_begins`: the only possible neighbour of a session after all others.
SELECT ref, version FROM {ws}.sessions
WHERE browser_ref = %(browser)s AND channel = %(channel)s ORDER BY started_at DESC LIMIT 1

-- sessions.browser_unread
-- Part of `sessions.one_begins`: no session is open at that time or starts later, no other session
-- has started since this statement did, and the guest is not part of a merge.
b.version = (SELECT version FROM {ws}.browsers WHERE ref = %(browser)s)
AND NOT EXISTS (
    SELECT FROM {ws}.sessions
    WHERE browser_ref = b.ref AND channel = %(channel)s AND expires_at >= %(at)s
) AND EXISTS (
    SELECT FROM {ws}.guests
    WHERE ref = b.guest_ref AND survivor_ref IS NULL AND own IS NULL
)

-- sessions.see
-- Part of `events.append`: set the guest's `last_seen` to the start of the session.
, seen AS (
    UPDATE {ws}.guests SET last_seen = %(started_at)s
    WHERE ref = (SELECT guest_ref FROM stored_session) AND last_seen < %(started_at)s
      AND survivor_ref IS NULL AND own IS NULL
)

-- sessions.touch
-- Raise the versions of sessions of a locked browser, because a neighbour changes.
UPDATE {ws}.sessions SET version = version + 1 WHERE ref = ANY (%(refs)s::uuid[])

-- sessions.put
-- Insert or replace a session of a locked browser.
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
-- Delete sessions of a locked browser whose events were moved to others.
DELETE FROM {ws}.sessions WHERE ref = ANY (%(refs)s::uuid[])

-- sessions.open_of_browser
-- The sessions of a locked browser that are open at that time, on any channel.
SELECT ref, guest_ref, started_at, last_at, expires_at, cart FROM {ws}.sessions
WHERE browser_ref = %(browser)s AND cut_at IS NULL AND expires_at >= %(at)s

-- sessions.cut
-- End a session of a locked browser because another person uses it.
UPDATE {ws}.sessions SET version = version + 1, cut_at = %(cut_at)s::timestamptz,
    cut_by = 'person', expires_at = %(cut_at)s::timestamptz,
    closed_at = %(now)s, cart_type = %(cart_type)s::text, revenue = %(revenue)s::numeric, modified_at = %(now)s
WHERE ref = %(ref)s

-- sessions.idle
-- Some expired sessions that are not closed, locked until the transaction ends.
SELECT ref, cart FROM {ws}.sessions
WHERE closed_at IS NULL AND expires_at < %(now)s
ORDER BY ref LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED

-- sessions.close
-- Close a locked expired session.
UPDATE {ws}.sessions SET version = version + 1, closed_at = %(now)s, cart_type = %(cart_type)s,
    revenue = %(revenue)s::numeric, modified_at = %(now)s
WHERE ref = %(ref)s

-- sessions.of_guest
-- The latest sessions of a live guest and its merged guests.
SELECT s.ref, coalesce(g.survivor_ref, g.ref) AS guest_ref, s.browser_ref, s.channel,
    s.started_at, s.last_at, s.expires_at, s.cut_at, s.cut_by, s.events,
    s.about - %(without)s::text[] AS about, s.cart, s.closed_at, s.created_at, s.modified_at
FROM {ws}.sessions AS s JOIN {ws}.guests AS g ON g.ref = s.guest_ref
WHERE s.guest_ref IN (
    SELECT ref FROM {ws}.guests WHERE ref = %(guest)s OR survivor_ref = %(guest)s
) AND s.started_at >= %(since)s
ORDER BY s.started_at DESC, s.ref LIMIT %(most)s
