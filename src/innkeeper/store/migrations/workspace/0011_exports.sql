-- Audience exports: what is exported, each time it was, and the files that came of it.

CREATE TABLE {ws}.exports (
    ref uuid PRIMARY KEY,
    friendly_id text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    segment_ref uuid NOT NULL,
    -- FULL_SYNC, or DELTA: who was added and removed since the last one.
    definition_type text NOT NULL,
    -- Format, columns or template, filter.
    shape jsonb NOT NULL,
    -- Null, DAILY, WEEKLY or a cron line, in UTC.
    schedule text,
    next_at timestamptz,
    destination jsonb,
    webhook text,
    webhook_secret text,
    modified_by text NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
CREATE INDEX exports_due ON {ws}.exports (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE {ws}.export_executions (
    ref uuid PRIMARY KEY,
    export_ref uuid NOT NULL REFERENCES {ws}.exports ON DELETE CASCADE,
    -- INSTANT_RUN or SCHEDULED
    execution_type text NOT NULL,
    definition_type text NOT NULL,
    segment_execution_type text NOT NULL,
    status text NOT NULL,
    -- The snapshot it holds: every change committed before it, and none after.
    sequence bigint,
    snapshot text,
    total bigint NOT NULL DEFAULT 0,
    matched bigint NOT NULL DEFAULT 0,
    not_matched bigint NOT NULL DEFAULT 0,
    added bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0,
    errors text[] NOT NULL DEFAULT '{}',
    dataset_at timestamptz,
    requested_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    -- Whether the destination has everything; what it answered last.
    delivered_at timestamptz,
    delivery_attempts integer NOT NULL DEFAULT 0,
    delivery_error text
);
CREATE INDEX export_executions_by_export ON {ws}.export_executions (export_ref, requested_at);

CREATE TABLE {ws}.export_files (
    execution_ref uuid NOT NULL REFERENCES {ws}.export_executions ON DELETE CASCADE,
    number integer NOT NULL,
    name text NOT NULL,
    -- add or remove, for a delta.
    delta_action text,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    -- Records that the destination has taken.
    delivered bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (execution_ref, number)
);

-- Who was exported last, by a delta.
CREATE TABLE {ws}.export_members (
    export_ref uuid NOT NULL REFERENCES {ws}.exports ON DELETE CASCADE,
    guest_ref uuid NOT NULL,
    PRIMARY KEY (export_ref, guest_ref)
);
