-- Files elsewhere that are imported again and again.
CREATE TABLE {ws}.import_sources (
    ref uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    -- A path, or an http, https or s3 URL; all files below it where it ends in a slash.
    address text NOT NULL,
    -- guests, orders, events
    entity text NOT NULL,
    -- Format and mapping, as in `batches`.
    file_options jsonb NOT NULL,
    -- The column of which only greater values are imported.
    mark_column text,
    -- How far it was imported: {"value"} of that column, {"changed", "name"} of the last file, {"etag"}.
    mark jsonb NOT NULL DEFAULT '{}',
    -- Null, DAILY, WEEKLY or a cron line, in UTC.
    schedule text,
    next_at timestamptz,
    -- Whether a command of the operator made it, so that it may read any address.
    is_free boolean NOT NULL,
    -- The last import, and the mark once that has read its file to the end.
    import_ref uuid,
    pending_mark jsonb,
    -- When it was last read to the end; while it cannot be read, why, and when it is tried again.
    read_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    error text,
    next_attempt_at timestamptz,
    modified_by text NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
CREATE INDEX import_sources_due ON {ws}.import_sources (least(next_at, next_attempt_at))
    WHERE next_at IS NOT NULL OR next_attempt_at IS NOT NULL;
