-- Notifications of changed configuration, for the cache of each process.

CREATE FUNCTION innkeeper.announce_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('innkeeper_configuration', TG_ARGV[0]);
    RETURN NULL;
END $$;

-- Not for `last_used_at`, which every use changes.
CREATE TRIGGER announce AFTER INSERT OR DELETE OR TRUNCATE
    OR UPDATE OF token_sha256, workspace, compatibility, revoked_at, scopes ON innkeeper.api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION innkeeper.announce_change('api_keys');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
    ON innkeeper.client_key_aliases
    FOR EACH STATEMENT EXECUTE FUNCTION innkeeper.announce_change('api_keys');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON innkeeper.secrets
    FOR EACH STATEMENT EXECUTE FUNCTION innkeeper.announce_change('secrets');
