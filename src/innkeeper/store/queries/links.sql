-- links.secret
-- What this installation signs links with.
SELECT value FROM innkeeper.secrets WHERE name = 'links'
