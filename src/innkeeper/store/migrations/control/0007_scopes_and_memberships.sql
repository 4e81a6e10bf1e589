-- What an API key may do, and which workspaces a user of the screens may open.

ALTER TABLE innkeeper.api_keys
    ADD COLUMN scopes text[] NOT NULL DEFAULT ARRAY['read', 'write', 'delete', 'personal_data']
    CHECK (cardinality(scopes) > 0 AND scopes <@
        ARRAY['read', 'write', 'delete', 'personal_data', 'administration']);

-- Workspaces of their own, each with its sandbox; null for every one.
ALTER TABLE innkeeper.users ADD COLUMN workspaces text[] COLLATE "C";
