-- Exact counts of live guests by type, and of orders. A connection writes to its own shard of a
-- count, so that writers do not wait for each other.

CREATE FUNCTION {ws}.count_guests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {ws}.guest_counts AS counts (guest_type, shard, guests)
    SELECT guest_type, pg_backend_pid() % 64, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
    FROM changed WHERE survivor_ref IS NULL GROUP BY guest_type ORDER BY guest_type
    ON CONFLICT (guest_type, shard) DO UPDATE SET guests = counts.guests + excluded.guests;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON {ws}.guests
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {ws}.count_guests();
CREATE TRIGGER count_deleted AFTER DELETE ON {ws}.guests
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {ws}.count_guests();

CREATE FUNCTION {ws}.count_updated_guest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {ws}.guest_counts AS counts (guest_type, shard, guests)
    SELECT guest_type, pg_backend_pid() % 64, sum(change)
    FROM (VALUES (OLD.guest_type, OLD.survivor_ref, -1), (NEW.guest_type, NEW.survivor_ref, 1))
        AS changed (guest_type, survivor_ref, change)
    WHERE survivor_ref IS NULL GROUP BY guest_type ORDER BY guest_type
    ON CONFLICT (guest_type, shard) DO UPDATE SET guests = counts.guests + excluded.guests;
    RETURN NULL;
END $$;
CREATE TRIGGER count_updated AFTER UPDATE OF guest_type, survivor_ref ON {ws}.guests
    FOR EACH ROW
    WHEN (OLD.guest_type <> NEW.guest_type OR OLD.survivor_ref IS DISTINCT FROM NEW.survivor_ref)
    EXECUTE FUNCTION {ws}.count_updated_guest();

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
