-- Segments, who is in them, computed traits, and what other systems are told.

CREATE TABLE {ws}.segments (
    ref uuid PRIMARY KEY,
    friendly_id text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    status text NOT NULL,
    -- The status that a publishing which fails goes back to.
    came_from text,
    tags text[] NOT NULL DEFAULT '{}',
    definition jsonb NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    archived boolean NOT NULL DEFAULT false,
    -- Of its last run.
    size bigint,
    previous_size bigint,
    total bigint,
    sample uuid[] NOT NULL DEFAULT '{}',
    last_run_at timestamptz,
    last_live_at timestamptz,
    -- Who is told of guests that enter and leave: an address, and what messages are signed with.
    webhook text,
    webhook_secret text,
    modified_by text NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);

CREATE TABLE {ws}.segment_revisions (
    segment_ref uuid NOT NULL REFERENCES {ws}.segments ON DELETE CASCADE,
    revision integer NOT NULL,
    name text NOT NULL,
    definition jsonb NOT NULL,
    modified_by text NOT NULL,
    modified_at timestamptz NOT NULL,
    PRIMARY KEY (segment_ref, revision)
);

-- Every time a segment was calculated. One that is RUNNING for longer than a question may take
-- was cut off, and is FAILED as soon as anybody looks.
CREATE TABLE {ws}.segment_runs (
    ref uuid PRIMARY KEY,
    segment_ref uuid NOT NULL REFERENCES {ws}.segments ON DELETE CASCADE,
    -- ON_DEMAND, PUBLISH, LIVE, NIGHTLY
    kind text NOT NULL,
    state text NOT NULL,
    engine text NOT NULL,
    revision integer NOT NULL,
    sequence bigint,
    snapshot text,
    rows bigint,
    entered bigint,
    departed bigint,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    error text
);
CREATE INDEX segment_runs_by_segment ON {ws}.segment_runs (segment_ref, started_at);
CREATE INDEX segment_runs_open ON {ws}.segment_runs (started_at) WHERE state = 'RUNNING';

-- Stored membership of Live segments. No foreign key to guests: one that was deleted leaves like
-- any other, so that who is told of leaving is told of that as well.
CREATE TABLE {ws}.segment_members (
    segment_ref uuid NOT NULL REFERENCES {ws}.segments ON DELETE CASCADE,
    guest_ref uuid NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (segment_ref, guest_ref)
);
CREATE INDEX segment_members_of_guest ON {ws}.segment_members (guest_ref);

-- Guests that changed since Live segments looked at them last.
CREATE TABLE {ws}.segment_touched (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    guest_ref uuid NOT NULL
);

CREATE TABLE {ws}.traits (
    name text COLLATE "C" PRIMARY KEY,
    definition jsonb NOT NULL,
    modified_by text NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);

-- Messages to other systems, until they have arrived.
CREATE TABLE {ws}.webhook_messages (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url text NOT NULL,
    secret text NOT NULL,
    body bytea NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    error text,
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    given_up_at timestamptz
);
CREATE INDEX webhook_messages_due ON {ws}.webhook_messages (url, sequence)
    WHERE sent_at IS NULL AND given_up_at IS NULL;

-- What a guest loses changes the guest: of a row that is gone, or is another's now, nobody could
-- tell later whose it was.
CREATE FUNCTION {ws}.follow_loss() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {ws}.lake_changes (kind, ref, fresh)
    SELECT DISTINCT 'guest', guest_ref, false FROM gone;
    RETURN NULL;
END $$;
CREATE TRIGGER follow_loss AFTER DELETE ON {ws}.order_contacts
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {ws}.follow_loss();
CREATE TRIGGER follow_change AFTER UPDATE ON {ws}.order_contacts
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {ws}.follow_loss();
CREATE TRIGGER follow_loss AFTER DELETE ON {ws}.sessions
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {ws}.follow_loss();
CREATE TRIGGER follow_loss AFTER DELETE ON {ws}.events
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {ws}.follow_loss();
