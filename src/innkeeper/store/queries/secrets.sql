-- secrets.find
-- A key or salt of this installation: `value` in plain text, or `encrypted`.
SELECT value, encrypted FROM innkeeper.secrets WHERE name = %(name)s

-- secrets.signing_keys
-- The signing keys of this installation, locked until the transaction ends.
SELECT name, value, encrypted FROM innkeeper.secrets
WHERE name = ANY (%(names)s) ORDER BY name FOR UPDATE

-- secrets.encrypt_signing_key
-- Store a signing key in encrypted form only.
UPDATE innkeeper.secrets SET value = NULL, encrypted = %(encrypted)s WHERE name = %(name)s

-- secrets.of_webhooks
-- Every different secret of webhooks, as stored.
SELECT webhook_secret AS stored FROM {ws}.segments WHERE webhook_secret IS NOT NULL
UNION SELECT webhook_secret FROM {ws}.exports WHERE webhook_secret IS NOT NULL
UNION SELECT secret FROM {ws}.webhook_messages WHERE sent_at IS NULL

-- secrets.encrypt_of_segments
-- Replace stored secrets of the webhooks of segments.
UPDATE {ws}.segments AS s SET webhook_secret = new.stored
FROM unnest(%(old)s::text[], %(new)s::text[]) AS new (old, stored) WHERE s.webhook_secret = new.old

-- secrets.encrypt_of_exports
-- Replace stored secrets of the webhooks of exports.
UPDATE {ws}.exports AS e SET webhook_secret = new.stored
FROM unnest(%(old)s::text[], %(new)s::text[]) AS new (old, stored) WHERE e.webhook_secret = new.old

-- secrets.encrypt_of_messages
-- Replace stored secrets of queued messages.
UPDATE {ws}.webhook_messages AS m SET secret = new.stored
FROM unnest(%(old)s::text[], %(new)s::text[]) AS new (old, stored)
WHERE m.secret = new.old AND m.sent_at IS NULL
