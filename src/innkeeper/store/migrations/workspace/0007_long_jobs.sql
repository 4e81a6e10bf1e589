-- The list of long jobs: its indexes, and the loads of demo data, which have no other table.

CREATE INDEX imports_by_age ON {ws}.batches (created_at, ref) WHERE entity <> 'batch';
CREATE INDEX export_executions_by_age ON {ws}.export_executions (requested_at, ref);
CREATE INDEX segment_runs_published ON {ws}.segment_runs (started_at, ref) WHERE kind = 'PUBLISH';

CREATE TABLE {ws}.demo_loads (
    ref uuid PRIMARY KEY,
    -- waiting, running, done, failed
    state text NOT NULL,
    done integer NOT NULL DEFAULT 0,
    total integer NOT NULL,
    error text,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE UNIQUE INDEX demo_loads_unfinished ON {ws}.demo_loads ((true)) WHERE finished_at IS NULL;
