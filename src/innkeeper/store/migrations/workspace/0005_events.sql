-- Behaviour: browsers, their sessions and events, what could not be attached, and what decides.

-- FORCE_CLOSE is obeyed for events of a test point of sale.
ALTER TABLE {ws}.points_of_sale ADD COLUMN test boolean NOT NULL DEFAULT false;

-- What a site of the edge paths is called here.
CREATE TABLE {ws}.site_aliases (
    site text COLLATE "C" PRIMARY KEY,
    point_of_sale text COLLATE "C" NOT NULL
);

-- One row. Its version is another whenever a point of sale or an alias changes, so that whoever
-- decided by older ones notices in the very statement that writes.
CREATE TABLE {ws}.stream_settings (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO {ws}.stream_settings DEFAULT VALUES;

CREATE FUNCTION {ws}.renew_stream_settings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {ws}.stream_settings SET version = gen_random_uuid();
    RETURN NULL;
END $$;
CREATE TRIGGER renew AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {ws}.points_of_sale
    FOR EACH STATEMENT EXECUTE FUNCTION {ws}.renew_stream_settings();
CREATE TRIGGER renew AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {ws}.site_aliases
    FOR EACH STATEMENT EXECUTE FUNCTION {ws}.renew_stream_settings();

CREATE TABLE {ws}.browsers (
    ref uuid PRIMARY KEY,
    -- Whose browser it is now. As recorded: reads follow a merge to the survivor.
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    -- Another whenever a session begins: who begins one by an older state begins nothing.
    version bigint NOT NULL DEFAULT 0,
    -- Of its last event: what the next one means when it does not say (stream-api.md 4.1).
    channel text,
    point_of_sale text,
    created_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX browsers_of_guest ON {ws}.browsers (guest_ref);

CREATE TABLE {ws}.sessions (
    ref uuid PRIMARY KEY,
    browser_ref uuid NOT NULL,
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    -- Another with every write: who writes by an older state writes nothing.
    version bigint NOT NULL DEFAULT 1,
    channel text NOT NULL,
    started_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    -- An event until then belongs to it.
    expires_at timestamptz NOT NULL,
    -- What ended it before its time: FORCE_CLOSE, or another person at the same browser.
    cut_at timestamptz,
    cut_by text CHECK (cut_by IN ('force', 'person')),
    events integer NOT NULL,
    -- Point of sale, language, pages and the like.
    about jsonb NOT NULL,
    -- Lines, contacts, orders; null while nothing was put into it.
    cart jsonb,
    -- Set once it is over: BROWSED, CONVERTED, ABANDONED or CLOSED, and what was left behind.
    closed_at timestamptz,
    cart_type text,
    revenue numeric,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX sessions_of_browser ON {ws}.sessions (browser_ref, channel, started_at);
CREATE INDEX sessions_of_guest ON {ws}.sessions (guest_ref, started_at);
CREATE INDEX sessions_open ON {ws}.sessions (ref) WHERE closed_at IS NULL;

CREATE TABLE {ws}.events (
    ref uuid NOT NULL,
    at timestamptz NOT NULL,
    session_ref uuid NOT NULL,
    -- As recorded: a merge does not rewrite it.
    guest_ref uuid NOT NULL,
    browser_ref uuid NOT NULL,
    -- The version of its session that it made: the order of arrival.
    number bigint NOT NULL,
    type text NOT NULL,
    channel text NOT NULL,
    point_of_sale text NOT NULL,
    -- Seconds after it in which its session goes on.
    reach integer NOT NULL,
    -- Whether it ends its session.
    cuts boolean NOT NULL,
    body jsonb NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (at, ref)
) PARTITION BY RANGE (at);
CREATE INDEX events_of_session ON {ws}.events (session_ref, at);
CREATE INDEX events_of_guest ON {ws}.events (guest_ref, at);

-- The partition of the month of `instant`. Attaching, unlike creating one in its place, lets
-- others write to the table meanwhile.
CREATE FUNCTION {ws}.add_events_partition(instant timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    beginning timestamptz := date_trunc('month', instant, 'UTC');
    called text := 'events_' || to_char(beginning AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('{ws}.' || called, 0));
    IF to_regclass('{ws}.' || called) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE {ws}.%I (LIKE {ws}.events INCLUDING ALL)', called);
    EXECUTE format(
        'ALTER TABLE {ws}.events ATTACH PARTITION {ws}.%I FOR VALUES FROM (%L) TO (%L)',
        called, beginning, (beginning AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
    );
END $$;
-- An event's time may be a day off; the job that adds months ahead runs daily.
SELECT {ws}.add_events_partition(now() + step)
FROM unnest(ARRAY['-2 days', '0', '1 month', '2 months']::interval[]) AS step;

-- Whole events and parts of events that break a rule, with the reason, until they are replayed.
CREATE TABLE {ws}.quarantine (
    -- For an event the ref that its sender was told.
    ref uuid PRIMARY KEY,
    -- Of what a part was taken from; null for an event.
    event_ref uuid,
    event_at timestamptz,
    reason text NOT NULL,
    detail text NOT NULL,
    message jsonb NOT NULL,
    -- How it came: edge site, user agent.
    came jsonb NOT NULL,
    type text NOT NULL,
    browser_ref uuid NOT NULL REFERENCES {ws}.browsers ON DELETE CASCADE,
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    received_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    replayed_at timestamptz
);
CREATE INDEX quarantine_waiting ON {ws}.quarantine (received_at, ref) WHERE replayed_at IS NULL;
CREATE INDEX quarantine_of_guest ON {ws}.quarantine (guest_ref);
CREATE INDEX quarantine_of_browser ON {ws}.quarantine (browser_ref);

-- The type that an attribute of an event type had first, which it must keep (stream-api.md 4.3).
CREATE TABLE {ws}.event_attributes (
    event_type text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    PRIMARY KEY (event_type, name)
);

-- Events are too many for foreign keys: they go with the sessions and guests they belong to.
CREATE FUNCTION {ws}.forget_events_of_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM {ws}.events WHERE session_ref IN (SELECT ref FROM gone);
    RETURN NULL;
END $$;
CREATE TRIGGER forget_events AFTER DELETE ON {ws}.sessions
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
    EXECUTE FUNCTION {ws}.forget_events_of_sessions();

CREATE FUNCTION {ws}.forget_events_of_guests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM {ws}.events WHERE guest_ref IN (SELECT ref FROM gone);
    RETURN NULL;
END $$;
CREATE TRIGGER forget_events AFTER DELETE ON {ws}.guests
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
    EXECUTE FUNCTION {ws}.forget_events_of_guests();
