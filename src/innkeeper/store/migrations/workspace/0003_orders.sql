-- Orders: their items, people and data extensions, and how many orders there are.

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

-- Create an order, or update the one it is (O-1 to O-3), in one round trip. Each statement of
-- a volatile function sees what was committed before it began, so the search sees all that
-- those before us under the lock have written.
CREATE FUNCTION {ws}.place_order(
    lock bigint, reach interval, new_ref uuid, the_key uuid, the_id text,
    the_time timestamptz, fields jsonb, cleared text[], at_time timestamptz
) RETURNS TABLE (
    ref uuid, reference_id text, ordered_at timestamptz, body jsonb,
    created_at timestamptz, modified_at timestamptz, fresh boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(lock);
    RETURN QUERY
    UPDATE {ws}.orders AS o
    SET body = (o.body - cleared) || fields, modified_at = at_time
    WHERE o.ref = (
        SELECT f.ref FROM {ws}.orders AS f
        WHERE f.reference_key = the_key AND f.reference_id = the_id
          AND f.ordered_at BETWEEN the_time - reach AND the_time + reach
        ORDER BY greatest(f.ordered_at - the_time, the_time - f.ordered_at), f.created_at, f.ref
        LIMIT 1
    )
    RETURNING o.ref, o.reference_id, o.ordered_at, o.body, o.created_at, o.modified_at, false;
    IF NOT FOUND THEN
        INSERT INTO {ws}.orders
            (ref, reference_id, reference_key, ordered_at, body, created_at, modified_at)
        VALUES (new_ref, the_id, the_key, the_time, fields, at_time, at_time);
        RETURN QUERY VALUES (new_ref, the_id, the_time, fields, at_time, at_time, true);
    END IF;
END $$;

CREATE TABLE {ws}.order_items (
    ref uuid PRIMARY KEY,
    order_ref uuid NOT NULL REFERENCES {ws}.orders ON DELETE CASCADE,
    ordered_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
CREATE INDEX order_items_of_order ON {ws}.order_items (order_ref, created_at, ref);

-- guest_ref is the guest as recorded: a merge does not rewrite it, reads follow the ledger.
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

CREATE TABLE {ws}.order_consumers (LIKE {ws}.order_contacts);
ALTER TABLE {ws}.order_consumers
    ADD PRIMARY KEY (ref),
    ADD FOREIGN KEY (order_ref) REFERENCES {ws}.orders ON DELETE CASCADE,
    ADD FOREIGN KEY (guest_ref) REFERENCES {ws}.guests ON DELETE CASCADE;
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

-- How many orders there are. A row a shard, as for guests.
CREATE TABLE {ws}.order_counts (
    shard integer PRIMARY KEY,
    orders bigint NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION {ws}.count_orders() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change bigint;
BEGIN
    SELECT CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END INTO change FROM changed;
    IF change <> 0 THEN
        INSERT INTO {ws}.order_counts AS counts (shard, orders)
        VALUES (pg_backend_pid() % 64, change)
        ON CONFLICT (shard) DO UPDATE SET orders = counts.orders + excluded.orders;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON {ws}.orders
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {ws}.count_orders();
CREATE TRIGGER count_deleted AFTER DELETE ON {ws}.orders
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {ws}.count_orders();
