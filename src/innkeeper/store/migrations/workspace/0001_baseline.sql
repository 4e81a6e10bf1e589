-- The schema of a workspace in 0.1.0. `{ws}` stands for the name of the schema. Functions and
-- triggers are in store/functions.

----------------------------------------------------------------------------------------------------
-- Guests

CREATE TABLE {ws}.guests (
    ref uuid PRIMARY KEY,
    guest_type text NOT NULL,
    body jsonb NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    -- The guest that this one is merged into; null for a live guest.
    survivor_ref uuid,
    -- For a guest that others are merged into: {"base", "now"}. `now` is the guest as it would be
    -- without any merge; `base` is the guest before the first merge, from which its journal starts.
    own jsonb,
    -- Why a guest that was posted was created: {rule, evidence, actor}, as in `guest_joins` for a
    -- guest created by another record. Null for every other guest.
    creation_reason jsonb
);
CREATE INDEX guests_by_age ON {ws}.guests (created_at, ref) WHERE survivor_ref IS NULL;
CREATE INDEX guests_by_type ON {ws}.guests (guest_type, created_at, ref)
    WHERE survivor_ref IS NULL;
CREATE INDEX guests_by_survivor ON {ws}.guests (survivor_ref) WHERE survivor_ref IS NOT NULL;

-- Digests of identifiers and other values by which identity rules find a guest.
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
    -- Written as one {key, value}, and returned in that form (N-12).
    single boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    PRIMARY KEY (guest_ref, name, key)
);

-- Live guests by type. A row a shard: connections spread over the shards, so that writers do not
-- wait for each other. The sum over the shards is exact.
CREATE TABLE {ws}.guest_counts (
    guest_type text NOT NULL,
    shard integer NOT NULL,
    guests bigint NOT NULL,
    PRIMARY KEY (guest_type, shard)
) WITH (fillfactor = 50);

----------------------------------------------------------------------------------------------------
-- Search for guests by name (with a typo), phone and identifier; maintained by triggers on `guests`

-- A word of a guest's name, or # and the last eight digits of a phone number.
CREATE TABLE {ws}.guest_words (word text COLLATE "C" NOT NULL, guest_ref uuid NOT NULL);
CREATE INDEX guest_words_by_word ON {ws}.guest_words (word, guest_ref);

-- Each word of a name once, or, after a race, twice: a unique index would make writers wait for
-- each other.
CREATE TABLE {ws}.name_words (word text COLLATE "C" NOT NULL);
CREATE INDEX name_words_by_word ON {ws}.name_words (word);

-- Each word of a name with one of its letters left out.
CREATE TABLE {ws}.name_typos (typo text COLLATE "C" NOT NULL, word text COLLATE "C" NOT NULL);
CREATE INDEX name_typos_by_typo ON {ws}.name_typos (typo);
CREATE INDEX name_typos_of_word ON {ws}.name_typos (word);

-- Providers of identifiers, so that an id can be searched for without its provider.
CREATE TABLE {ws}.identifier_providers (provider text COLLATE "C" PRIMARY KEY);

----------------------------------------------------------------------------------------------------
-- Identity: the rules, the merges, and the reasons

CREATE TABLE {ws}.identity_rules (
    position integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    -- [{"provider": "email"}, …]: values that must all be equal for two guests to be one person.
    conditions jsonb NOT NULL
);
INSERT INTO {ws}.identity_rules (position, name, conditions)
VALUES (1, 'email', '[{"provider": "email"}]');

-- One row. Its version changes with every rule and guard, so that a statement that was prepared by
-- older rules notices.
CREATE TABLE {ws}.identity_settings (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version uuid NOT NULL DEFAULT gen_random_uuid(),
    -- The most guests that may share a value, or be one merged group.
    group_limit integer NOT NULL DEFAULT 100 CHECK (group_limit > 0),
    -- Country of national phone numbers, ISO 3166-1 alpha-2.
    region text,
    -- Changes to the built-in list of values that never identify, in lower case.
    never_added text[] NOT NULL DEFAULT '{}',
    never_removed text[] NOT NULL DEFAULT '{}',
    -- The form in which the keys of the guests were derived (rules/identity_keys.py, KEY_FORM).
    key_form integer NOT NULL DEFAULT 1
);
INSERT INTO {ws}.identity_settings (key_form) VALUES (2);

-- Merges, those in force and those undone.
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

-- Every write to a merged guest, as it was requested. Undoing a merge removes the writes that came
-- through it and repeats the others.
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

-- Which records were attached to a guest, and why.
CREATE TABLE {ws}.guest_joins (
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    rule text,
    evidence jsonb NOT NULL,
    source text NOT NULL,
    -- The order, or the other record that `source` names.
    source_ref uuid,
    actor text NOT NULL,
    joined_at timestamptz NOT NULL,
    PRIMARY KEY (guest_ref, sequence)
);

-- Values of records, and groups of guests, that a guard kept from identifying.
CREATE TABLE {ws}.identity_guarded (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text,
    reason text NOT NULL,
    evidence jsonb NOT NULL,
    -- The guest that was written instead, or the guests that were not merged.
    guests uuid[] NOT NULL,
    source text NOT NULL,
    source_ref uuid,
    actor text NOT NULL,
    guarded_at timestamptz NOT NULL
);
CREATE INDEX identity_guarded_by_guest ON {ws}.identity_guarded USING gin (guests);

-- Applications of changed rules to the existing guests.
CREATE TABLE {ws}.identity_jobs (
    ref uuid PRIMARY KEY,
    -- waiting, settling, indexing, merging, done, failed
    state text NOT NULL,
    -- Whether guests are merged, or only indexed by the new rules.
    merging boolean NOT NULL,
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    merged bigint NOT NULL DEFAULT 0,
    -- The last guest that is indexed.
    reached uuid,
    -- While waiting, the transaction of the change: statements that began before it ended go by
    -- older rules. While settling, a later one: every transaction up to it may write by older rules.
    after xid8 NOT NULL,
    actor text NOT NULL,
    error text,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX identity_jobs_by_age ON {ws}.identity_jobs (created_at);

----------------------------------------------------------------------------------------------------
-- Orders

CREATE TABLE {ws}.orders (
    ref uuid PRIMARY KEY,
    reference_id text COLLATE "C" NOT NULL,
    -- Digest of reference_id, which may be longer than an index entry can be.
    reference_key uuid NOT NULL,
    ordered_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
CREATE INDEX orders_by_age ON {ws}.orders (created_at, ref);
CREATE INDEX orders_by_reference ON {ws}.orders (reference_key, ordered_at);

CREATE TABLE {ws}.order_items (
    ref uuid PRIMARY KEY,
    order_ref uuid NOT NULL REFERENCES {ws}.orders ON DELETE CASCADE,
    ordered_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    -- The import of a table that last wrote this item: another row of the same file is another item.
    import_ref uuid
);
CREATE INDEX order_items_of_order ON {ws}.order_items (order_ref, created_at, ref);

-- People who placed an order. `guest_ref` is the guest at that time: a merge does not rewrite it,
-- reads follow the merge to the survivor.
CREATE TABLE {ws}.order_contacts (
    ref uuid PRIMARY KEY,
    order_ref uuid NOT NULL REFERENCES {ws}.orders ON DELETE CASCADE,
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    body jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
CREATE INDEX order_contacts_of_order ON {ws}.order_contacts (order_ref, created_at, ref);
CREATE INDEX order_contacts_of_guest ON {ws}.order_contacts (guest_ref, order_ref);

-- People for whom an order was placed. As for contacts, a merge does not rewrite `guest_ref`.
CREATE TABLE {ws}.order_consumers (
    ref uuid PRIMARY KEY,
    order_ref uuid NOT NULL REFERENCES {ws}.orders ON DELETE CASCADE,
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    body jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
CREATE INDEX order_consumers_of_order ON {ws}.order_consumers (order_ref, created_at, ref);
CREATE INDEX order_consumers_of_guest ON {ws}.order_consumers (guest_ref, order_ref);

CREATE TABLE {ws}.order_consumer_items (
    order_consumer_ref uuid NOT NULL REFERENCES {ws}.order_consumers ON DELETE CASCADE,
    order_item_ref uuid NOT NULL REFERENCES {ws}.order_items ON DELETE CASCADE,
    position integer NOT NULL,
    PRIMARY KEY (order_consumer_ref, order_item_ref)
);
CREATE INDEX order_consumer_items_of_item ON {ws}.order_consumer_items (order_item_ref);

CREATE TABLE {ws}.order_extensions (
    order_ref uuid NOT NULL REFERENCES {ws}.orders ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    ref uuid NOT NULL,
    pairs jsonb NOT NULL,
    single boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    PRIMARY KEY (order_ref, name, key)
);

CREATE TABLE {ws}.order_item_extensions (
    order_item_ref uuid NOT NULL REFERENCES {ws}.order_items ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    ref uuid NOT NULL,
    pairs jsonb NOT NULL,
    single boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    PRIMARY KEY (order_item_ref, name, key)
);

-- The number of orders. A row a shard, as in `guest_counts`.
CREATE TABLE {ws}.order_counts (
    shard integer PRIMARY KEY,
    orders bigint NOT NULL
) WITH (fillfactor = 50);

----------------------------------------------------------------------------------------------------
-- Behaviour: points of sale, browsers, sessions, events, and the quarantine

CREATE TABLE {ws}.points_of_sale (
    name text COLLATE "C" PRIMARY KEY,
    market text,
    brand text,
    language text,
    timeout_minutes integer NOT NULL DEFAULT 20 CHECK (timeout_minutes > 0),
    -- Whether FORCE_CLOSE is obeyed, which it is for events of a test point of sale.
    test boolean NOT NULL DEFAULT false
);
INSERT INTO {ws}.points_of_sale (name) VALUES ('default');

-- The point of sale of each site of the edge paths.
CREATE TABLE {ws}.site_aliases (
    site text COLLATE "C" PRIMARY KEY,
    point_of_sale text COLLATE "C" NOT NULL
);

-- One row. Its version changes with every point of sale and site alias, so that a statement that
-- was prepared by older ones notices.
CREATE TABLE {ws}.stream_settings (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO {ws}.stream_settings DEFAULT VALUES;

CREATE TABLE {ws}.browsers (
    ref uuid PRIMARY KEY,
    -- The guest who uses it now. A merge does not rewrite it, reads follow the merge.
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    -- Changes whenever a session starts: a start by an older state is refused.
    version bigint NOT NULL DEFAULT 0,
    -- Of its last event: the defaults of the next one (stream-api.md 4.1).
    channel text,
    point_of_sale text,
    created_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX browsers_of_guest ON {ws}.browsers (guest_ref);

CREATE TABLE {ws}.sessions (
    ref uuid PRIMARY KEY,
    browser_ref uuid NOT NULL,
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    -- Changes with every write: a write by an older state is refused.
    version bigint NOT NULL DEFAULT 1,
    channel text NOT NULL,
    started_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    -- An event up to this time belongs to the session.
    expires_at timestamptz NOT NULL,
    -- When and why it ended before that: FORCE_CLOSE, or another person at the same browser.
    cut_at timestamptz,
    cut_by text CHECK (cut_by IN ('force', 'person')),
    events integer NOT NULL,
    -- Point of sale, language, pages and the like.
    about jsonb NOT NULL,
    -- Lines, contacts, orders; null while it is empty.
    cart jsonb,
    -- Set once it is over: BROWSED, CONVERTED, ABANDONED or CLOSED, and the value of the cart.
    closed_at timestamptz,
    cart_type text,
    revenue numeric,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX sessions_of_browser ON {ws}.sessions (browser_ref, channel, started_at);
CREATE INDEX sessions_of_guest ON {ws}.sessions (guest_ref, started_at);
CREATE INDEX sessions_open ON {ws}.sessions (ref) WHERE closed_at IS NULL;

-- A partition a month, added by `add_events_partition`. Events are too many for foreign keys:
-- triggers delete them with their sessions and guests.
CREATE TABLE {ws}.events (
    ref uuid NOT NULL,
    at timestamptz NOT NULL,
    session_ref uuid NOT NULL,
    -- A merge does not rewrite it.
    guest_ref uuid NOT NULL,
    browser_ref uuid NOT NULL,
    -- The version of the session that the event created: the order of arrival.
    number bigint NOT NULL,
    type text NOT NULL,
    channel text NOT NULL,
    point_of_sale text NOT NULL,
    -- Seconds for which the event keeps its session open.
    reach integer NOT NULL,
    -- Whether it ends its session.
    cuts boolean NOT NULL,
    body jsonb NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (at, ref)
) PARTITION BY RANGE (at);
CREATE INDEX events_of_session ON {ws}.events (session_ref, at);
CREATE INDEX events_of_guest ON {ws}.events (guest_ref, at);

-- The type that each attribute of an event type had first, which it must keep (stream-api.md 4.3).
CREATE TABLE {ws}.event_attributes (
    event_type text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    PRIMARY KEY (event_type, name)
);

-- Whole events, and parts of events, that break a rule, with the reason, until they are replayed.
CREATE TABLE {ws}.quarantine (
    -- For an event the ref that the response named.
    ref uuid PRIMARY KEY,
    -- The event that a part was taken from; null for an event.
    event_ref uuid,
    event_at timestamptz,
    reason text NOT NULL,
    detail text NOT NULL,
    message jsonb NOT NULL,
    -- Of the request: edge site, user agent.
    came jsonb NOT NULL,
    type text NOT NULL,
    browser_ref uuid NOT NULL REFERENCES {ws}.browsers ON DELETE CASCADE,
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    received_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    replayed_at timestamptz,
    -- The order that was created without an event, while that waited here.
    order_ref uuid REFERENCES {ws}.orders ON DELETE SET NULL
);
CREATE INDEX quarantine_waiting ON {ws}.quarantine (received_at, ref) WHERE replayed_at IS NULL;
CREATE INDEX quarantine_of_guest ON {ws}.quarantine (guest_ref);
CREATE INDEX quarantine_of_browser ON {ws}.quarantine (browser_ref);
CREATE INDEX quarantine_of_order ON {ws}.quarantine (order_ref) WHERE order_ref IS NOT NULL;

----------------------------------------------------------------------------------------------------
-- Segments, computed traits, and messages to other systems

CREATE TABLE {ws}.segments (
    ref uuid PRIMARY KEY,
    friendly_id text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    status text NOT NULL,
    -- The status to return to when publishing fails.
    previous_status text,
    tags text[] NOT NULL DEFAULT '{}',
    definition jsonb NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    archived boolean NOT NULL DEFAULT false,
    -- Of the last run.
    size bigint,
    previous_size bigint,
    total bigint,
    sample uuid[] NOT NULL DEFAULT '{}',
    last_run_at timestamptz,
    last_live_at timestamptz,
    -- URL that receives guests who enter and leave, and the secret that signs the messages.
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

-- Calculations of segments. One that is RUNNING for longer than a question may take was cut off,
-- and is set to FAILED by the next reader.
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

-- Members of Live segments. No foreign key to guests: a deleted guest leaves like any other, so
-- that webhooks report it.
CREATE TABLE {ws}.segment_members (
    segment_ref uuid NOT NULL REFERENCES {ws}.segments ON DELETE CASCADE,
    guest_ref uuid NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (segment_ref, guest_ref)
);
CREATE INDEX segment_members_of_guest ON {ws}.segment_members (guest_ref);

-- Guests that changed since Live segments were last updated.
CREATE TABLE {ws}.segment_queue (
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

-- Messages to webhooks. One that is neither sent nor given up is pending.
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

----------------------------------------------------------------------------------------------------
-- Audience exports: their definitions, executions and files

CREATE TABLE {ws}.exports (
    ref uuid PRIMARY KEY,
    friendly_id text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    -- Null after the segment was deleted, until another is chosen.
    segment_ref uuid REFERENCES {ws}.segments ON DELETE SET NULL,
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
CREATE INDEX exports_of_segment ON {ws}.exports (segment_ref);

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
    -- When the destination had everything; what it answered last.
    delivered_at timestamptz,
    delivery_attempts integer NOT NULL DEFAULT 0,
    delivery_error text,
    -- While it cannot run: what was wrong last, and when it is tried again.
    attempts integer NOT NULL DEFAULT 0,
    error text,
    next_attempt_at timestamptz,
    delivery_next_at timestamptz,
    -- The settings by which the files were written: those of the export at that time, which may
    -- change afterwards. Null for an execution that has not ended, or has failed.
    shape jsonb
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
    -- Records that the destination has accepted.
    delivered bigint NOT NULL DEFAULT 0,
    -- The guest of each row, so that an erasure finds the file. Refs do not compress.
    guests uuid[] NOT NULL DEFAULT '{}',
    -- The file that this one replaces, until that is deleted.
    replaced text,
    PRIMARY KEY (execution_ref, number)
);
ALTER TABLE {ws}.export_files ALTER COLUMN guests SET STORAGE EXTERNAL;

-- Guests of the last execution of a DELTA.
CREATE TABLE {ws}.export_members (
    export_ref uuid NOT NULL REFERENCES {ws}.exports ON DELETE CASCADE,
    guest_ref uuid NOT NULL,
    PRIMARY KEY (export_ref, guest_ref)
);

----------------------------------------------------------------------------------------------------
-- Files of records: batches of the vendor's API, imports and their failures, exports of everything

CREATE TABLE {ws}.batches (
    ref uuid PRIMARY KEY,
    -- batch: records in the envelope of the batch API; guests, orders, events: plain records.
    holds text NOT NULL,
    -- uploading, file_uploaded, processing, success, corrupted, error
    state text NOT NULL,
    -- As declared before the upload; null for a file that is not uploaded.
    checksum text,
    size bigint,
    -- How to read it: format, compression, mapping, and its name.
    about jsonb NOT NULL,
    -- Identifies the file, so that an import that was cut off continues.
    source_key uuid,
    -- The last line or row that is applied, written in the same transaction as its records.
    line bigint NOT NULL DEFAULT 0,
    -- Records among them, and how many failed.
    records bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    -- Outcomes of the others: {"created": 12, …}.
    outcomes jsonb NOT NULL DEFAULT '{}',
    -- Counts rewrites of the stored file, after which a reader must open it again.
    revision integer NOT NULL DEFAULT 0,
    -- Why the file could not be read to its end.
    fault text,
    -- Whether the file is still stored.
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
    -- The ref that the record has in the file.
    ref text,
    code integer NOT NULL,
    message text NOT NULL,
    -- The problems; never a value of the record.
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
    expires_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz
);
CREATE INDEX file_exports_by_age ON {ws}.file_exports (created_at, ref);

----------------------------------------------------------------------------------------------------
-- Privacy

-- The block list: keyed digests of identifiers, and how many arrivals of each were refused.
CREATE TABLE {ws}.suppressed (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    reason text NOT NULL,
    actor text NOT NULL,
    refused bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL
);

-- Digests of identifiers of erased guests, until stored files hold nothing of them either.
CREATE TABLE {ws}.erased (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    erased_at timestamptz NOT NULL,
    guest_ref uuid
);

----------------------------------------------------------------------------------------------------
-- The lake: changes since the last flush, and the files that hold the rest

-- A row for each write, by trigger: its root (a guest, order, session or event), and whether that
-- is new. A flush takes the rows of its snapshot in the transaction that lists the files it wrote,
-- so that no change is lost or written twice, in whatever order transactions commit.
CREATE TABLE {ws}.lake_changes (
    kind text COLLATE "C" NOT NULL,
    ref uuid NOT NULL,
    is_new boolean NOT NULL,
    -- The time of an event: events are found by time and ref.
    at timestamptz
);

-- One row.
CREATE TABLE {ws}.lake_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    -- Folder of this workspace in the lake. A reset changes it.
    folder uuid NOT NULL DEFAULT gen_random_uuid(),
    -- Number of the last flush.
    sequence bigint NOT NULL DEFAULT 0,
    -- Number of the last compaction. Readers lock it, so that their files are not deleted.
    generation bigint NOT NULL DEFAULT 0,
    flushed_at timestamptz,
    compacted_at timestamptz
);
INSERT INTO {ws}.lake_state DEFAULT VALUES;

CREATE TABLE {ws}.lake_files (
    path text COLLATE "C" PRIMARY KEY,
    -- The table whose rows it holds; for `changes`, the roots whose rows in earlier files are old.
    name text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Files that no new reader opens, deleted once the readers from before have ended.
CREATE TABLE {ws}.lake_unused_files (
    path text COLLATE "C" PRIMARY KEY,
    generation bigint NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT now()
);

----------------------------------------------------------------------------------------------------
-- First responses to requests with an Idempotency-Key, stored for a day

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
