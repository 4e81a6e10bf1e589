-- webhooks.put
-- Queue a message to a URL.
INSERT INTO {ws}.webhook_messages (url, secret, body, due_at, created_at)
VALUES (%(url)s, %(secret)s, %(body)s, %(now)s, %(now)s)

-- webhooks.addresses
-- The URLs that have due messages.
SELECT DISTINCT url FROM {ws}.webhook_messages
WHERE sent_at IS NULL AND failed_at IS NULL AND due_at <= %(now)s

-- webhooks.next
-- The oldest pending message to one URL, due or not: a later one waits for an earlier one.
SELECT sequence, url, secret, body, attempts, due_at FROM {ws}.webhook_messages
WHERE url = %(url)s AND sent_at IS NULL AND failed_at IS NULL
ORDER BY sequence LIMIT 1

-- webhooks.sent
-- Mark a message as delivered.
UPDATE {ws}.webhook_messages SET sent_at = %(now)s, attempts = attempts + 1, error = NULL
WHERE sequence = %(sequence)s

-- webhooks.failed
-- Store a failed attempt: when the next attempt is, or that the message is cancelled.
UPDATE {ws}.webhook_messages SET attempts = attempts + 1, due_at = %(due_at)s, error = %(error)s,
    failed_at = %(failed_at)s
WHERE sequence = %(sequence)s

-- webhooks.forget
-- Delete messages that were delivered or cancelled before a time.
DELETE FROM {ws}.webhook_messages
WHERE coalesce(sent_at, failed_at) < %(before)s

-- webhooks.forget_guests
-- Delete delivered and cancelled messages that contain erased guests.
DELETE FROM {ws}.webhook_messages
WHERE coalesce(sent_at, failed_at) IS NOT NULL AND EXISTS (
    SELECT FROM unnest(%(guests)s::uuid[]) AS erased (ref)
    WHERE position(convert_to(erased.ref::text, 'UTF8') IN body) > 0
)

-- webhooks.list
-- The newest messages, without their secrets.
SELECT sequence, url, attempts, due_at, error, created_at, sent_at, failed_at
FROM {ws}.webhook_messages ORDER BY sequence DESC LIMIT %(limit)s

-- webhooks.subscriptions
-- The webhooks of segments and exports, with counts of their messages and the last error.
SELECT each.*, coalesce(messages.waiting, 0) AS waiting, coalesce(messages.sent, 0) AS sent,
    coalesce(messages.failed, 0) AS failed, messages.error
FROM (
    SELECT 'segment' AS kind, friendly_id, name, webhook AS url FROM {ws}.segments
    WHERE webhook IS NOT NULL
    UNION ALL
    SELECT 'export', friendly_id, name, webhook FROM {ws}.exports WHERE webhook IS NOT NULL
) AS each
LEFT JOIN (
    SELECT url, count(*) FILTER (WHERE sent_at IS NULL AND failed_at IS NULL) AS waiting,
        count(*) FILTER (WHERE sent_at IS NOT NULL) AS sent,
        count(*) FILTER (WHERE failed_at IS NOT NULL) AS failed,
        (array_agg(error ORDER BY sequence DESC) FILTER (WHERE sent_at IS NULL))[1] AS error
    FROM {ws}.webhook_messages GROUP BY url
) AS messages USING (url)
ORDER BY kind DESC, name, friendly_id

-- webhooks.fetch
-- The webhook of a segment or an export; no row if that does not exist.
SELECT webhook AS url, webhook_secret AS secret FROM {ws}.segments
WHERE %(kind)s = 'segment' AND friendly_id = %(friendly_id)s
UNION ALL
SELECT webhook, webhook_secret FROM {ws}.exports
WHERE %(kind)s = 'export' AND friendly_id = %(friendly_id)s

-- webhooks.lock_segment
-- The webhook of a segment, locked until the transaction ends.
SELECT friendly_id, webhook, webhook_secret FROM {ws}.segments
WHERE friendly_id = %(friendly_id)s FOR NO KEY UPDATE

-- webhooks.lock_export
-- The webhook of an export, locked until the transaction ends.
SELECT friendly_id, webhook, webhook_secret FROM {ws}.exports
WHERE friendly_id = %(friendly_id)s FOR NO KEY UPDATE

-- webhooks.subscribe_segment
-- Set or clear the webhook of a segment, which gets entries and exits.
UPDATE {ws}.segments SET webhook = %(url)s, webhook_secret = %(secret)s, modified_by = %(actor)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE friendly_id = %(friendly_id)s
RETURNING friendly_id, webhook, webhook_secret

-- webhooks.subscribe_export
-- Set or clear the webhook of an export, which gets the outcome of executions.
UPDATE {ws}.exports SET webhook = %(url)s,
    webhook_secret = CASE WHEN %(url)s::text IS NULL AND destination ->> 'type' = 'WEBHOOK'
        THEN webhook_secret ELSE %(secret)s END,
    modified_by = %(actor)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE friendly_id = %(friendly_id)s
RETURNING friendly_id, webhook, webhook_secret

-- webhooks.again
-- Queue a cancelled message again.
UPDATE {ws}.webhook_messages SET failed_at = NULL, attempts = 0, due_at = %(now)s
WHERE sequence = %(sequence)s AND failed_at IS NOT NULL
