-- webhooks.put
-- A message to another system.
INSERT INTO {ws}.webhook_messages (url, secret, body, due_at, created_at)
VALUES (%(url)s, %(secret)s, %(body)s, %(now)s, %(now)s)

-- webhooks.addresses
-- The addresses that have messages due.
SELECT DISTINCT url FROM {ws}.webhook_messages
WHERE sent_at IS NULL AND given_up_at IS NULL AND due_at <= %(now)s

-- webhooks.due
-- The oldest messages to one address; a later one waits for an earlier one.
SELECT sequence, url, secret, body, attempts, due_at FROM {ws}.webhook_messages
WHERE url = %(url)s AND sent_at IS NULL AND given_up_at IS NULL
ORDER BY sequence LIMIT %(most)s

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
