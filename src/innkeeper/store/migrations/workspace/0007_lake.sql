-- The lake: what changed since the last flush, and which files hold the rest.

-- A row for each write: the root it belongs to (a guest, order, session or event) and whether it
-- is new. A flush takes the rows that its snapshot sees, in the transaction that lists the files
-- it wrote, so that no change is lost or written twice, whatever order transactions commit in.
CREATE TABLE {ws}.lake_changes (
    kind text COLLATE "C" NOT NULL,
    ref uuid NOT NULL,
    fresh boolean NOT NULL,
    -- When an event happened: events are found by time and ref.
    at timestamptz
);

-- One row. `folder` names this workspace's part of the lake: another one after a reset.
CREATE TABLE {ws}.lake_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    folder uuid NOT NULL DEFAULT gen_random_uuid(),
    -- Number of the last flush.
    sequence bigint NOT NULL DEFAULT 0,
    -- Number of the last compaction: who reads holds it, so that no file goes from under them.
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

-- Files that nobody reads any more, to be removed once the readers of before have ended.
CREATE TABLE {ws}.lake_dropped (
    path text COLLATE "C" PRIMARY KEY,
    generation bigint NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT now()
);

-- A trigger a statement, not a row: 28 µs on a single insert, nothing to notice on a bulk one.
DO $migration$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT * FROM (VALUES
        ('guests', 'guest', 'SELECT ref, NULL FROM changed', true),
        ('guest_extensions', 'guest', 'SELECT DISTINCT guest_ref, NULL FROM changed', false),
        ('orders', 'order', 'SELECT ref, NULL FROM changed', true),
        ('order_items', 'order', 'SELECT DISTINCT order_ref, NULL FROM changed', false),
        ('order_contacts', 'order', 'SELECT DISTINCT order_ref, NULL FROM changed', false),
        ('order_extensions', 'order', 'SELECT DISTINCT order_ref, NULL FROM changed', false),
        ('order_item_extensions', 'order',
            'SELECT DISTINCT order_ref, NULL FROM {ws}.order_items WHERE ref IN '
            '(SELECT order_item_ref FROM changed)', false),
        ('sessions', 'session', 'SELECT ref, NULL FROM changed', true),
        ('events', 'event', 'SELECT ref, at FROM changed', true)
    ) AS followed (name, kind, refs, root) LOOP
        EXECUTE format(
            'CREATE FUNCTION {ws}.%I() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN
                INSERT INTO {ws}.lake_changes (kind, ref, fresh, at)
                SELECT %L, found.ref, %s, found.at::timestamptz FROM (%s) AS found (ref, at);
                RETURN NULL;
            END $body$',
            'follow_' || each.name, each.kind,
            CASE WHEN each.root THEN 'TG_OP = ''INSERT''' ELSE 'false' END, each.refs
        );
        EXECUTE format('CREATE TRIGGER follow_insert AFTER INSERT ON {ws}.%I '
            'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {ws}.%I()',
            each.name, 'follow_' || each.name);
        EXECUTE format('CREATE TRIGGER follow_update AFTER UPDATE ON {ws}.%I '
            'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {ws}.%I()',
            each.name, 'follow_' || each.name);
        EXECUTE format('CREATE TRIGGER follow_delete AFTER DELETE ON {ws}.%I '
            'REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {ws}.%I()',
            each.name, 'follow_' || each.name);
    END LOOP;
END $migration$;

-- What was there before the lake was.
INSERT INTO {ws}.lake_changes SELECT 'guest', ref, true FROM {ws}.guests;
INSERT INTO {ws}.lake_changes SELECT 'order', ref, true FROM {ws}.orders;
INSERT INTO {ws}.lake_changes SELECT 'session', ref, true FROM {ws}.sessions;
INSERT INTO {ws}.lake_changes SELECT 'event', ref, true, at FROM {ws}.events;
