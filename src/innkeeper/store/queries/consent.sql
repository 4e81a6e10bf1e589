-- consent.fetch
-- The fields that say who is unsubscribed; no row if none were ever declared.
SELECT fields FROM {ws}.consent_settings

-- consent.lock
-- The same, locked until the transaction ends.
SELECT fields FROM {ws}.consent_settings FOR UPDATE

-- consent.put
-- Replace the fields.
INSERT INTO {ws}.consent_settings (fields) VALUES (%(fields)s)
ON CONFLICT (is_only_row) DO UPDATE SET fields = excluded.fields
