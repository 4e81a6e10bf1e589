-- quarantine.store
-- Insert an invalid event or part of one; no row if the configuration has changed meanwhile.
INSERT INTO {ws}.quarantine (ref, event_ref, event_at, reason, detail, message, request, type,
    browser_ref, guest_ref, received_at, order_ref)
SELECT %(ref)s, %(event)s, %(at)s, %(reason)s, %(detail)s, %(message)s, %(request)s, %(type)s, b.ref,
    b.guest_ref, %(received_at)s, %(order)s::uuid
FROM {ws}.browsers AS b CROSS JOIN {ws}.stream_settings AS c
WHERE b.ref = %(browser)s AND c.version = %(settings)s

-- quarantine.list
-- A page of quarantined events, oldest first; each row has the total.
SELECT ref, event_ref, reason, detail, message, type, browser_ref, received_at, attempts, order_ref,
    ({total}) AS total
FROM {ws}.quarantine WHERE replayed_at IS NULL {filters}
ORDER BY received_at, ref LIMIT %(limit)s OFFSET %(offset)s

-- quarantine.list_truncated
-- A page with the beginning of each message as text, and the message itself if it is short.
SELECT q.ref, q.event_ref, left(q.reason, %(most)s) AS reason, left(q.detail, %(most)s) AS detail,
    q.type, q.browser_ref, q.received_at, q.attempts, q.total,
    CASE WHEN length(t.text) <= %(most)s THEN q.message END AS message,
    left(t.text, %(most)s) AS beginning, length(t.text) AS characters
FROM (
    SELECT ref, event_ref, reason, detail, message, type, browser_ref, received_at, attempts,
        ({total}) AS total
    FROM {ws}.quarantine WHERE replayed_at IS NULL {filters}
    ORDER BY received_at, ref LIMIT %(limit)s OFFSET %(offset)s
) AS q CROSS JOIN LATERAL (SELECT q.message::text AS text OFFSET 0) AS t
ORDER BY q.received_at, q.ref

-- quarantine.text
-- The message of a quarantined event as text.
SELECT message::text AS text FROM {ws}.quarantine WHERE ref = %(ref)s AND replayed_at IS NULL

-- quarantine.count
-- Count the quarantined events.
SELECT count(*) AS total FROM {ws}.quarantine WHERE replayed_at IS NULL {filters}

-- quarantine.by_reason
-- Filter: one reason.
AND reason = %(reason)s

-- quarantine.by_refs
-- Filter: some refs.
AND ref = ANY (%(refs)s::uuid[])

-- quarantine.by_order
-- Filter: events that an order lacks.
AND order_ref = %(order)s

-- quarantine.of_cart
-- Cart events of a browser that are linked to no order, the latest first, with the members of their
-- messages that assign them to a checkout.
SELECT ref, event_ref, event_at, type, jsonb_build_object(
    'channel', message -> 'channel', 'reference_id', message -> 'reference_id',
    'product', jsonb_build_object('item_id', message -> 'product' -> 'item_id')
) AS message
FROM {ws}.quarantine
WHERE browser_ref = %(browser)s AND replayed_at IS NULL AND order_ref IS NULL
  AND type = ANY (%(types)s::text[]) AND event_at BETWEEN %(since)s AND %(until)s
ORDER BY event_at DESC, received_at DESC, ref LIMIT %(most)s

-- quarantine.of_order
-- Quarantined cart events of an order, whole events first.
SELECT ref, event_ref, event_at, type, '{}'::jsonb AS message FROM {ws}.quarantine
WHERE order_ref = %(order)s AND replayed_at IS NULL
ORDER BY event_ref IS NOT NULL, event_at, received_at, ref LIMIT %(most)s

-- quarantine.link
-- Link quarantined events to the order that lacks them.
UPDATE {ws}.quarantine SET order_ref = %(order)s WHERE ref = ANY (%(refs)s::uuid[])

-- quarantine.list_pending
-- Quarantined events in order of arrival, after a given one.
SELECT ref, received_at FROM {ws}.quarantine
WHERE replayed_at IS NULL AND received_at <= %(until)s
  AND (received_at, ref) > (%(after_at)s, %(after)s::uuid) {filters}
ORDER BY received_at, ref LIMIT %(most)s

-- quarantine.lock
-- A quarantined event, locked until the transaction ends.
SELECT ref, event_ref, event_at, reason, detail, message, request, type, browser_ref, received_at,
    order_ref
FROM {ws}.quarantine WHERE ref = %(ref)s AND replayed_at IS NULL FOR UPDATE

-- quarantine.done
-- Mark an event as replayed.
UPDATE {ws}.quarantine SET replayed_at = %(now)s, attempts = attempts + 1 WHERE ref = %(ref)s

-- quarantine.failed
-- Store why a replay failed.
UPDATE {ws}.quarantine SET reason = %(reason)s, detail = %(detail)s, attempts = attempts + 1
WHERE ref = %(ref)s AND replayed_at IS NULL

-- quarantine.correct
-- Replace the message of a quarantined event.
UPDATE {ws}.quarantine SET message = %(message)s, type = %(type)s
WHERE ref = %(ref)s AND replayed_at IS NULL

-- quarantine.discard
-- Delete a quarantined event.
DELETE FROM {ws}.quarantine WHERE ref = %(ref)s AND replayed_at IS NULL
RETURNING order_ref, browser_ref, event_at

-- quarantine.remove_flag
-- Remove a flag from the CHECKOUT of an order that lacks no whole event any more.
UPDATE {ws}.events AS e SET body = CASE WHEN e.body -> 'flags' = jsonb_build_array(%(flag)s::text)
    THEN e.body - 'flags'
    ELSE jsonb_set(e.body, ARRAY['flags'], (e.body -> 'flags') - %(flag)s::text) END
FROM {ws}.sessions AS s
WHERE s.browser_ref = %(browser)s AND s.last_at >= %(at)s AND s.started_at <= %(until)s
  AND e.session_ref = s.ref AND e.at BETWEEN %(at)s AND %(until)s
  AND e.type = 'CHECKOUT' AND e.body ->> 'order' = %(order)s AND e.body -> 'flags' ? %(flag)s
  AND NOT EXISTS (
    SELECT FROM {ws}.quarantine
    WHERE order_ref = %(order)s::uuid AND replayed_at IS NULL AND event_ref IS NULL
  )

-- quarantine.reasons
-- Count the quarantined events by reason.
SELECT reason, count(*) AS waiting FROM {ws}.quarantine WHERE replayed_at IS NULL
GROUP BY reason ORDER BY reason
