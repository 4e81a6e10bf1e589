-- sessions.touch
-- Raise the versions of sessions of a locked browser, because a neighbour changes.
UPDATE {ws}.sessions SET version = version + 1 WHERE ref = ANY (%(refs)s::uuid[])

-- sessions.put
-- Insert or replace a session of a locked browser.
INSERT INTO {ws}.sessions (ref, browser_ref, guest_ref, channel, started_at, last_at, expires_at,
    ended_at, ended_by, events, details, cart, closed_at, cart_type, revenue, created_at, modified_at)
VALUES (%(ref)s, %(browser)s, %(guest)s, %(channel)s, %(started_at)s, %(last_at)s,
    %(expires_at)s, %(ended_at)s::timestamptz, %(ended_by)s::text, %(events)s, %(details)s,
    %(cart)s::jsonb, %(closed_at)s::timestamptz,
    %(cart_type)s::text, %(revenue)s::numeric, %(now)s, %(now)s)
ON CONFLICT (ref) DO UPDATE SET version = sessions.version + 1, started_at = excluded.started_at, last_at = excluded.last_at,
    expires_at = excluded.expires_at, ended_at = excluded.ended_at, ended_by = excluded.ended_by,
    events = excluded.events, details = excluded.details, cart = excluded.cart,
    closed_at = excluded.closed_at, cart_type = excluded.cart_type, revenue = excluded.revenue,
    modified_at = excluded.modified_at

-- sessions.drop
-- Delete sessions of a locked browser whose events were moved to others.
DELETE FROM {ws}.sessions WHERE ref = ANY (%(refs)s::uuid[])

-- sessions.open_of_browser
-- The sessions of a locked browser that are open at that time, on any channel.
SELECT ref, guest_ref, started_at, last_at, expires_at, cart FROM {ws}.sessions
WHERE browser_ref = %(browser)s AND ended_at IS NULL AND expires_at >= %(at)s

-- sessions.cut
-- End a session of a locked browser because another person uses it.
UPDATE {ws}.sessions SET version = version + 1, ended_at = %(ended_at)s::timestamptz,
    ended_by = 'person', expires_at = %(ended_at)s::timestamptz,
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
    s.started_at, s.last_at, s.expires_at, s.ended_at, s.ended_by, s.events,
    s.details - %(without)s::text[] AS details, s.cart, s.closed_at, s.created_at, s.modified_at
FROM {ws}.sessions AS s JOIN {ws}.guests AS g ON g.ref = s.guest_ref
WHERE s.guest_ref IN (
    SELECT ref FROM {ws}.guests WHERE ref = %(guest)s OR survivor_ref = %(guest)s
) AND s.started_at >= %(since)s
ORDER BY s.started_at DESC, s.ref LIMIT %(most)s
