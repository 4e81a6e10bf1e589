-- webhooks.put
-- A message to another system.
INSERT INTO {ws}.webhook_messages (url, secret, body, due_at, created_at)
VALUES (%(url)s, %(secret)s, %(body)s, %(now)s, %(now)s)

-- webhooks.addresses
-- The addresses that have messages due.
SELECT DISTINCT url FROM {ws}.webhook_messages
WHERE sent_at IS NULL AND given_up_at IS NULL AND due_at <= %(now)s

-- webhooks.next
-- The oldest message to one address, due or not: a later one waits for an earlier one.
SELECT sequence, url, secret, body, attempts, due_at FROM {ws}.webhook_messages
WHERE url = %(url)s AND sent_at IS NULL AND given_up_at IS NULL
ORDER BY sequence LIMIT 1

-- webhooks.sent
-- A message that has arrived.
UPDATE {ws}.webhook_messages SET sent_at = %(now)s, attempts = attempts + 1, error = NULL
WHERE sequence = %(sequence)s

-- webhooks.failed
-- A message that has not arrived: when to try again, or that it was given up.
UPDATE {ws}.webhook_messages SET attempts = attempts + 1, due_at = %(due_at)s, error = %(error)s,
    given_up_at = %(given_up_at)s
WHERE sequence = %(sequence)s

-- webhooks.forget
-- Messages that arrived, or were given up, long ago.
DELETE FROM {ws}.webhook_messages
WHERE coalesce(sent_at, given_up_at) < %(before)s

-- webhooks.forget_guests
-- Messages that named guests who are erased, and have arrived or were given up.
DELETE FROM {ws}.webhook_messages
WHERE coalesce(sent_at, given_up_at) IS NOT NULL AND EXISTS (
    SELECT FROM unnest(%(guests)s::uuid[]) AS gone (ref)
    WHERE position(convert_to(gone.ref::text, 'UTF8') IN body) > 0
)

-- webhooks.list
-- The newest messages, without their secrets.
SELECT sequence, url, attempts, due_at, error, created_at, sent_at, given_up_at
FROM {ws}.webhook_messages ORDER BY sequence DESC LIMIT %(limit)s

-- webhooks.subscriptions
-- Who is told of what: segments and exports with a web address, and what became of its messages.
SELECT each.*, coalesce(told.waiting, 0) AS waiting, coalesce(told.sent, 0) AS sent,
    coalesce(told.given_up, 0) AS given_up, told.error
FROM (
    SELECT 'segment' AS kind, friendly_id, name, webhook AS url FROM {ws}.segments
    WHERE webhook IS NOT NULL
    UNION ALL
    SELECT 'export', friendly_id, name, webhook FROM {ws}.exports WHERE webhook IS NOT NULL
) AS each
LEFT JOIN (
    SELECT url, count(*) FILTER (WHERE sent_at IS NULL AND given_up_at IS NULL) AS waiting,
        count(*) FILTER (WHERE sent_at IS NOT NULL) AS sent,
        count(*) FILTER (WHERE given_up_at IS NOT NULL) AS given_up,
        (array_agg(error ORDER BY sequence DESC) FILTER (WHERE sent_at IS NULL))[1] AS error
    FROM {ws}.webhook_messages GROUP BY url
) AS told USING (url)
ORDER BY kind DESC, name, friendly_id

-- webhooks.lock_segment
-- The web address of a segment, held until the transaction ends.
SELECT friendly_id, webhook, webhook_secret FROM {ws}.segments
WHERE friendly_id = %(friendly_id)s FOR NO KEY UPDATE

-- webhooks.lock_export
-- The web address of an export, held until the transaction ends.
SELECT friendly_id, webhook, webhook_secret FROM {ws}.exports
WHERE friendly_id = %(friendly_id)s FOR NO KEY UPDATE

-- webhooks.subscribe_segment
-- The web address that learns who enters and leaves a segment, or none.
UPDATE {ws}.segments SET webhook = %(url)s, webhook_secret = %(secret)s, modified_by = %(actor)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE friendly_id = %(friendly_id)s
RETURNING friendly_id, webhook, webhook_secret

-- webhooks.subscribe_export
-- The web address that learns how executions of an export ended, or none.
UPDATE {ws}.exports SET webhook = %(url)s,
    webhook_secret = CASE WHEN %(url)s::text IS NULL AND destination ->> 'type' = 'WEBHOOK'
        THEN webhook_secret ELSE %(secret)s END,
    modified_by = %(actor)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE friendly_id = %(friendly_id)s
RETURNING friendly_id, webhook, webhook_secret

-- webhooks.again
-- A message that was given up is tried anew.
UPDATE {ws}.webhook_messages SET given_up_at = NULL, attempts = 0, due_at = %(now)s
WHERE sequence = %(sequence)s AND given_up_at IS NOT NULL
