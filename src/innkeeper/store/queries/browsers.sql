-- browsers.create
-- A browser and its guest, a visitor.
WITH guest AS (
    INSERT INTO {ws}.guests
        (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
    VALUES (%(guest)s, 'visitor', '{}', %(now)s, %(now)s, %(now)s, %(now)s)
)
INSERT INTO {ws}.browsers (ref, guest_ref, created_at) VALUES (%(ref)s, %(guest)s, %(now)s)

-- browsers.fetch
-- Whose browser it is now, after merges.
SELECT coalesce(g.survivor_ref, g.ref) AS guest_ref
FROM {ws}.browsers AS b JOIN {ws}.guests AS g ON g.ref = b.guest_ref
WHERE b.ref = %(ref)s

-- browsers.state
-- A browser, and those of its sessions that an event at that time may touch, oldest first.
SELECT b.ref AS browser_ref, b.guest_ref AS browser_guest, b.version, b.channel AS last_channel,
    b.point_of_sale AS last_point_of_sale, r.ref AS root, r.guest_type AS root_type,
    r.own IS NOT NULL AS in_group, s.ref, s.guest_ref, s.started_at, s.last_at, s.expires_at,
    s.cut_at, s.cut_by, s.events, s.about, s.cart, s.created_at,
    coalesce(sg.survivor_ref, sg.ref) AS session_root
FROM {ws}.browsers AS b JOIN {ws}.guests AS g ON g.ref = b.guest_ref
JOIN {ws}.guests AS r ON r.ref = coalesce(g.survivor_ref, g.ref)
LEFT JOIN {ws}.sessions AS s ON s.browser_ref = b.ref
    AND s.channel = coalesce(%(channel)s::text, b.channel, 'WEB')
    AND s.started_at <= %(until)s AND s.expires_at >= %(at)s
LEFT JOIN {ws}.guests AS sg ON sg.ref = s.guest_ref
WHERE b.ref = %(ref)s
ORDER BY s.started_at, s.expires_at

-- browsers.lock
-- Wait for whoever writes of a browser, and keep others waiting until the transaction ends.
SELECT version FROM {ws}.browsers WHERE ref = %(ref)s FOR NO KEY UPDATE

-- browsers.relink
-- Another guest is at this browser.
UPDATE {ws}.browsers SET guest_ref = %(guest)s WHERE ref = %(ref)s

-- browsers.roots
-- The live guests that two guests are now.
SELECT ref, coalesce(survivor_ref, ref) AS root FROM {ws}.guests
WHERE ref = ANY (%(refs)s::uuid[])

-- browsers.purge_visitors
-- Forget some visitors last seen before then, unless they or guests merged into them have orders.
DELETE FROM {ws}.guests WHERE ref IN (
    WITH old AS (
        SELECT ref FROM {ws}.guests AS g
        WHERE survivor_ref IS NULL AND guest_type = 'visitor' AND last_seen < %(before)s
          AND created_at < %(before)s
          AND NOT EXISTS (
              SELECT FROM {ws}.guests AS same
              JOIN {ws}.order_contacts AS p ON p.guest_ref = same.ref
              WHERE same.ref = g.ref OR same.survivor_ref = g.ref
          ) AND NOT EXISTS (
              SELECT FROM {ws}.guests AS same
              JOIN {ws}.order_consumers AS p ON p.guest_ref = same.ref
              WHERE same.ref = g.ref OR same.survivor_ref = g.ref
          )
        LIMIT %(most)s FOR UPDATE SKIP LOCKED
    )
    SELECT ref FROM old
    UNION ALL
    SELECT guests.ref FROM {ws}.guests JOIN old ON survivor_ref = old.ref
)
