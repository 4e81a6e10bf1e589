-- Guests, what they are found by, their data extensions, and how many there are.

CREATE TABLE {ws}.guests (
    ref uuid PRIMARY KEY,
    guest_type text NOT NULL,
    body jsonb NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    -- The guest that stands for this one while a merge holds; null for a live guest.
    survivor_ref uuid
);
CREATE INDEX guests_by_age ON {ws}.guests (created_at, ref) WHERE survivor_ref IS NULL;
CREATE INDEX guests_by_type ON {ws}.guests (guest_type, created_at, ref)
    WHERE survivor_ref IS NULL;

CREATE TABLE {ws}.guest_keys (
    key uuid NOT NULL,
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    PRIMARY KEY (key, guest_ref)
);
CREATE INDEX guest_keys_of_guest ON {ws}.guest_keys (guest_ref);

CREATE TABLE {ws}.guest_extensions (
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    ref uuid NOT NULL,
    pairs jsonb NOT NULL,
    -- Written as one {key, value}, so shown that way as well (N-12).
    single boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    PRIMARY KEY (guest_ref, name, key)
);

-- Live guests by type. A row a shard: connections spread over the shards, so that writers
-- do not wait for each other; the sum over shards is exact.
CREATE TABLE {ws}.guest_counts (
    guest_type text NOT NULL,
    shard integer NOT NULL,
    guests bigint NOT NULL,
    PRIMARY KEY (guest_type, shard)
) WITH (fillfactor = 50);

CREATE FUNCTION {ws}.count_guests(of_type text, change bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO {ws}.guest_counts AS counts (guest_type, shard, guests)
    VALUES (of_type, pg_backend_pid() % 64, change)
    ON CONFLICT (guest_type, shard) DO UPDATE SET guests = counts.guests + excluded.guests
$$;

CREATE FUNCTION {ws}.count_inserted_guests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {ws}.count_guests(guest_type, count(*)) FROM inserted
    WHERE survivor_ref IS NULL GROUP BY guest_type ORDER BY guest_type;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON {ws}.guests
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
    EXECUTE FUNCTION {ws}.count_inserted_guests();

CREATE FUNCTION {ws}.count_deleted_guests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {ws}.count_guests(guest_type, -count(*)) FROM deleted
    WHERE survivor_ref IS NULL GROUP BY guest_type ORDER BY guest_type;
    RETURN NULL;
END $$;
CREATE TRIGGER count_deleted AFTER DELETE ON {ws}.guests
    REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT
    EXECUTE FUNCTION {ws}.count_deleted_guests();

CREATE FUNCTION {ws}.recount_guest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.survivor_ref IS NULL THEN
        PERFORM {ws}.count_guests(OLD.guest_type, -1);
    END IF;
    IF NEW.survivor_ref IS NULL THEN
        PERFORM {ws}.count_guests(NEW.guest_type, 1);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER recount AFTER UPDATE OF guest_type, survivor_ref ON {ws}.guests
    FOR EACH ROW
    WHEN (OLD.guest_type <> NEW.guest_type OR OLD.survivor_ref IS DISTINCT FROM NEW.survivor_ref)
    EXECUTE FUNCTION {ws}.recount_guest();

-- First answers to requests with an Idempotency-Key, kept for a day.
CREATE TABLE {ws}.idempotency (
    scope uuid NOT NULL,
    request_hash uuid NOT NULL,
    status integer NOT NULL,
    location text,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (scope)
);
CREATE INDEX idempotency_by_age ON {ws}.idempotency (created_at);
