-- Keys that expire: tokens of a sandbox for trying requests.
ALTER TABLE innkeeper.api_keys ADD COLUMN expires_at timestamptz;
CREATE INDEX api_keys_expiring ON innkeeper.api_keys (workspace, expires_at) WHERE expires_at IS NOT NULL;
