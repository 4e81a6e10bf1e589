-- Identity: what it is decided by, which guests stand for which, and what guards stopped.

-- One row. Its version is another whenever a rule or a guard changes, so that whoever wrote or
-- looked up by older rules notices in the very statement.
CREATE TABLE {ws}.identity_settings (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version uuid NOT NULL DEFAULT gen_random_uuid(),
    -- Guests that may share a value, or be one identity group.
    group_limit integer NOT NULL DEFAULT 100 CHECK (group_limit > 0),
    -- Country of national phone numbers, ISO 3166-1 alpha-2.
    region text,
    -- Values that identify nobody, in lower case; null takes the built-in list.
    never text[]
);
INSERT INTO {ws}.identity_settings DEFAULT VALUES;

-- For a guest that others were merged into: {"base", "now"}. `now` is the guest as it would be
-- without any merge; `base` is as it was before the first merge, from which its journal starts.
ALTER TABLE {ws}.guests ADD COLUMN own jsonb;
CREATE INDEX guests_by_survivor ON {ws}.guests (survivor_ref) WHERE survivor_ref IS NOT NULL;

-- What an arriving record is decided by, in one round trip: wait for other arrivals with a key of
-- it, then look. Each statement of a volatile function sees what was committed before it began,
-- so the search sees the guest of whoever held the lock. The version in force comes on every
-- row, and on one of its own when no key leads to a guest; a key gives at most `most` guests.
CREATE FUNCTION {ws}.identity_candidates(locks bigint[], keys uuid[], most integer)
RETURNS TABLE (
    version uuid, key uuid, ref uuid, guest_type text, body jsonb, first_seen timestamptz,
    last_seen timestamptz, created_at timestamptz, modified_at timestamptz, survivor_ref uuid,
    own jsonb
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(wanted.lock) FROM unnest(locks) AS wanted (lock);
    RETURN QUERY
    SELECT settings.version, found.*
    FROM {ws}.identity_settings AS settings
    LEFT JOIN (
        SELECT wanted.key, guests.ref, guests.guest_type, guests.body, guests.first_seen,
            guests.last_seen, guests.created_at, guests.modified_at, guests.survivor_ref,
            guests.own
        FROM unnest(keys) AS wanted (key)
        CROSS JOIN LATERAL (
            SELECT guest_ref FROM {ws}.guest_keys WHERE guest_keys.key = wanted.key LIMIT most
        ) AS owners
        JOIN {ws}.guests ON guests.ref = owners.guest_ref
    ) AS found ON true;
END $$;

-- The ledger. A row in force makes `survivor_ref` stand for `absorbed_ref`; undone, it does not.
CREATE TABLE {ws}.merges (
    ref uuid PRIMARY KEY,
    survivor_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    absorbed_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    rule text,
    evidence jsonb NOT NULL,
    source text NOT NULL,
    actor text NOT NULL,
    merged_at timestamptz NOT NULL,
    undone_at timestamptz,
    undone_by text
);
CREATE UNIQUE INDEX merges_in_force ON {ws}.merges (absorbed_ref) WHERE undone_at IS NULL;
CREATE INDEX merges_by_survivor ON {ws}.merges (survivor_ref);
CREATE INDEX merges_by_absorbed ON {ws}.merges (absorbed_ref);
CREATE INDEX merges_by_age ON {ws}.merges (merged_at, ref);

-- Every write to a guest that others are merged into, as it was meant; undoing a merge takes
-- away the writes that came through it and repeats the others.
CREATE TABLE {ws}.guest_journal (
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    -- The guest that the write would have reached without any merge.
    source_ref uuid NOT NULL,
    -- The merges it came through, first to last; none for a write to the guest itself.
    merges uuid[] NOT NULL,
    intent jsonb NOT NULL,
    PRIMARY KEY (guest_ref, sequence)
);

-- Which records joined a guest, and why.
CREATE TABLE {ws}.guest_joins (
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    rule text,
    evidence jsonb NOT NULL,
    source text NOT NULL,
    -- The order, or whatever else `source` names.
    source_ref uuid,
    actor text NOT NULL,
    joined_at timestamptz NOT NULL,
    PRIMARY KEY (guest_ref, sequence)
);

-- What a guard kept from identifying: a value of a record, or a group of guests.
CREATE TABLE {ws}.identity_guarded (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text,
    reason text NOT NULL,
    evidence jsonb NOT NULL,
    -- The guest that was written instead, or guests that stay apart.
    guests uuid[] NOT NULL,
    source text NOT NULL,
    source_ref uuid,
    actor text NOT NULL,
    guarded_at timestamptz NOT NULL
);
CREATE INDEX identity_guarded_by_guest ON {ws}.identity_guarded USING gin (guests);

-- Rule changes on their way through the existing guests.
CREATE TABLE {ws}.identity_jobs (
    ref uuid PRIMARY KEY,
    -- waiting, settling, indexing, merging, done, failed
    state text NOT NULL,
    -- Whether guests are merged as well, or found by the new rules only.
    merging boolean NOT NULL,
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    merged bigint NOT NULL DEFAULT 0,
    -- Guests up to this one are indexed.
    reached uuid,
    -- While waiting, the change itself: statements that began before it ended go by older rules.
    -- While settling, a later one: all transactions up to it may still write by older rules.
    after xid8 NOT NULL,
    actor text NOT NULL,
    error text,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX identity_jobs_by_age ON {ws}.identity_jobs (created_at);
