-- Exact counts of live guests by type, and of orders. A connection writes to its own shard of a
-- count, so that writers do not wait for each other.

CREATE FUNCTION {ws}.add_to_guest_count(of_type text, change bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO {ws}.guest_counts AS counts (guest_type, shard, guests)
    VALUES (of_type, pg_backend_pid() % 64, change)
    ON CONFLICT (guest_type, shard) DO UPDATE SET guests = counts.guests + excluded.guests
$$;

CREATE FUNCTION {ws}.count_inserted_guests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {ws}.add_to_guest_count(guest_type, count(*)) FROM inserted
    WHERE survivor_ref IS NULL GROUP BY guest_type ORDER BY guest_type;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON {ws}.guests
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
    EXECUTE FUNCTION {ws}.count_inserted_guests();

CREATE FUNCTION {ws}.count_deleted_guests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {ws}.add_to_guest_count(guest_type, -count(*)) FROM deleted
    WHERE survivor_ref IS NULL GROUP BY guest_type ORDER BY guest_type;
    RETURN NULL;
END $$;
CREATE TRIGGER count_deleted AFTER DELETE ON {ws}.guests
    REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT
    EXECUTE FUNCTION {ws}.count_deleted_guests();

CREATE FUNCTION {ws}.count_updated_guest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.survivor_ref IS NULL THEN
        PERFORM {ws}.add_to_guest_count(OLD.guest_type, -1);
    END IF;
    IF NEW.survivor_ref IS NULL THEN
        PERFORM {ws}.add_to_guest_count(NEW.guest_type, 1);
    END IF;
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
