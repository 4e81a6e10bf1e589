-- Files of records on their way in: batches of the vendor's API, imports from files, and what in
-- them failed. Files on their way out.

CREATE TABLE {ws}.batches (
    ref uuid PRIMARY KEY,
    -- batch: records in the envelope of the batch API; guests, orders, events: records as such.
    holds text NOT NULL,
    -- uploading, file_uploaded, processing, success, corrupted, error
    state text NOT NULL,
    -- As declared before the upload; null for a file that no one uploads.
    checksum text,
    size bigint,
    -- How to read it: format, compression, mapping, and what it was called.
    about jsonb NOT NULL,
    -- What the file is known by, so that a cut-off import of it goes on.
    source_key uuid,
    -- Lines or rows up to this one are applied: written with what they did.
    line bigint NOT NULL DEFAULT 0,
    -- Records among them, and how many failed.
    records bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    -- What became of the others: {"created": 12, …}.
    outcomes jsonb NOT NULL DEFAULT '{}',
    -- Counts rewrites of the file at rest, after which a reader must open it again.
    revision integer NOT NULL DEFAULT 0,
    -- Why the file could not be read to its end.
    fault text,
    -- Whether the file is still kept.
    kept boolean NOT NULL DEFAULT false,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX batches_by_age ON {ws}.batches (created_at, ref);
CREATE INDEX batches_unfinished ON {ws}.batches (state) WHERE finished_at IS NULL;
CREATE INDEX batches_by_source ON {ws}.batches (source_key) WHERE source_key IS NOT NULL;

CREATE TABLE {ws}.batch_failures (
    batch_ref uuid NOT NULL REFERENCES {ws}.batches ON DELETE CASCADE,
    line bigint NOT NULL,
    -- The record's own ref, from the file.
    ref text,
    code integer NOT NULL,
    message text NOT NULL,
    -- What exactly, a problem an element; never a value of the record.
    errors text[] NOT NULL,
    PRIMARY KEY (batch_ref, line)
);

CREATE TABLE {ws}.file_exports (
    ref uuid PRIMARY KEY,
    -- guests, orders, events
    entity text NOT NULL,
    format text NOT NULL,
    compressed boolean NOT NULL,
    -- waiting, writing, done, failed, removed
    state text NOT NULL,
    records bigint NOT NULL DEFAULT 0,
    size bigint,
    fault text,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    expires_at timestamptz
);
CREATE INDEX file_exports_by_age ON {ws}.file_exports (created_at, ref);

-- What must not come back: keyed digests of identifiers, and how often each was refused.
CREATE TABLE {ws}.suppressed (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    reason text NOT NULL,
    actor text NOT NULL,
    refused bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL
);
