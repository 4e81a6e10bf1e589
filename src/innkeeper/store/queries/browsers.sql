-- browsers.create
-- Insert a browser and its guest, a visitor.
WITH guest AS (
    INSERT INTO {ws}.guests
        (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
    VALUES (%(guest)s, 'visitor', '{}', %(now)s, %(now)s, %(now)s, %(now)s)
)
INSERT INTO {ws}.browsers (ref, guest_ref, created_at) VALUES (%(ref)s, %(guest)s, %(now)s)

-- browsers.fetch
-- The live guest of a browser.
SELECT coalesce(g.survivor_ref, g.ref) AS guest_ref
FROM {ws}.browsers AS b JOIN {ws}.guests AS g ON g.ref = b.guest_ref
WHERE b.ref = %(ref)s

-- browsers.state
-- A browser and its sessions, oldest first, that an event at that time may affect, with the nearest
-- session before and after them.
SELECT * FROM {ws}.browser_state(%(browser)s, %(channel)s, %(at)s, %(until)s)

-- browsers.states
-- The same of several browsers, one after the other.
SELECT state.* FROM unnest(%(refs)s::uuid[], %(channels)s::text[], %(times)s::timestamptz[],
    %(until)s::timestamptz[]) AS each (browser, channel, at, until)
CROSS JOIN LATERAL {ws}.browser_state(browser, channel, at, until) AS state

-- browsers.lock_state
-- The same, after locking the browser and those sessions until the transaction ends.
SELECT * FROM {ws}.lock_browser_state(%(browser)s, %(channel)s, %(at)s, %(until)s)

-- browsers.note
-- Store the defaults of a locked browser's next event.
UPDATE {ws}.browsers SET channel = %(channel)s, point_of_sale = %(point_of_sale)s
WHERE ref = %(ref)s

-- browsers.relink
-- Set the guest of a locked browser; the new version rejects events for the previous guest.
UPDATE {ws}.browsers SET guest_ref = %(guest)s, version = version + 1 WHERE ref = %(ref)s

-- browsers.roots
-- The live guests of some guests.
SELECT ref, coalesce(survivor_ref, ref) AS root FROM {ws}.guests
WHERE ref = ANY (%(refs)s::uuid[])

-- browsers.purge_visitors
-- Delete some visitors last seen before a time, unless they or their merged guests have orders.
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
