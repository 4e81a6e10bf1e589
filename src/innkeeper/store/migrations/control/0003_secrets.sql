-- Keys that this installation signs and salts with: made at first use, never shown.

CREATE TABLE innkeeper.secrets (
    name text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL CHECK (octet_length(value) = 32)
);
INSERT INTO innkeeper.secrets (name, value)
SELECT name, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
FROM unnest(ARRAY['links', 'suppression', 'subjects']) AS needed (name);
