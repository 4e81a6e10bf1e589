-- Create an order, or update the matching one (O-1 to O-3), in one round trip: the order with the same
-- referenceId that is nearest in time. An update without a change does not modify the order. Each
-- statement of a volatile function sees all earlier commits, so the search after the lock sees the
-- orders of earlier holders of the lock. Most orders are new: they cost one statement, since a lock
-- that is free and results that are assigned need none.
CREATE FUNCTION {ws}.create_or_update_order(
    lock bigint, within interval, new_ref uuid, new_key uuid, new_id text,
    new_time timestamptz, new_body jsonb, cleared text[], at_time timestamptz
) RETURNS TABLE (
    ref uuid, reference_id text, ordered_at timestamptz, body jsonb,
    created_at timestamptz, modified_at timestamptz, is_new boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF NOT pg_try_advisory_xact_lock(lock) THEN
        PERFORM pg_advisory_xact_lock(lock);
    END IF;
    -- Again if the matching order is deleted meanwhile.
    LOOP
        INSERT INTO {ws}.orders
            (ref, reference_id, reference_key, ordered_at, body, created_at, modified_at)
        SELECT new_ref, new_id, new_key, new_time, new_body, at_time, at_time
        WHERE NOT EXISTS (
            SELECT FROM {ws}.orders AS near
            WHERE near.reference_key = new_key AND near.reference_id = new_id
              AND near.ordered_at BETWEEN new_time - within AND new_time + within
        );
        IF FOUND THEN
            ref := new_ref;
            reference_id := new_id;
            ordered_at := new_time;
            body := new_body;
            created_at := at_time;
            modified_at := at_time;
            is_new := true;
            RETURN NEXT;
            RETURN;
        END IF;
        RETURN QUERY
        UPDATE {ws}.orders AS o
        SET body = (o.body - cleared) || new_body,
            modified_at = CASE WHEN (o.body - cleared) || new_body = o.body
                THEN o.modified_at ELSE at_time END
        WHERE o.ref = (
            SELECT near.ref FROM {ws}.orders AS near
            WHERE near.reference_key = new_key AND near.reference_id = new_id
              AND near.ordered_at BETWEEN new_time - within AND new_time + within
            ORDER BY greatest(near.ordered_at - new_time, new_time - near.ordered_at),
                near.created_at, near.ref
            LIMIT 1
        )
        RETURNING o.ref, o.reference_id, o.ordered_at, o.body, o.created_at, o.modified_at, false;
        EXIT WHEN FOUND;
    END LOOP;
END $$;

-- Create those of several orders that are certainly new, for requests that arrive together. The first of
-- each referenceId is created, unless it matches a stored order or others have locked its referenceId.
-- This waits for no lock; `create_or_update_order` writes the other orders.
CREATE FUNCTION {ws}.create_new_orders(elements jsonb) RETURNS TABLE (
    batch_position integer, ref uuid, reference_id text, ordered_at timestamptz, body jsonb,
    created_at timestamptz, modified_at timestamptz
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    locked integer[];
BEGIN
    locked := ARRAY(
        SELECT batch_position FROM (
            SELECT DISTINCT ON (lock) lock, batch_position
            FROM jsonb_to_recordset(elements) AS each (lock bigint, batch_position integer)
            ORDER BY lock, batch_position
        ) AS first WHERE pg_try_advisory_xact_lock(lock)
    );
    RETURN QUERY WITH element AS (
        SELECT * FROM jsonb_to_recordset(elements) AS element (
            batch_position integer, ref uuid, reference_key uuid, reference_id text,
            ordered_at timestamptz, tolerance interval, body jsonb, now timestamptz
        ) WHERE batch_position = ANY (locked)
    ), created AS (
        INSERT INTO {ws}.orders
            (ref, reference_id, reference_key, ordered_at, body, created_at, modified_at)
        SELECT ref, reference_id, reference_key, ordered_at, body, now, now FROM element
        WHERE NOT EXISTS (
            SELECT FROM {ws}.orders AS near
            WHERE near.reference_key = element.reference_key
              AND near.reference_id = element.reference_id
              AND near.ordered_at BETWEEN element.ordered_at - tolerance AND element.ordered_at + tolerance
        )
        RETURNING ref, reference_id, ordered_at, body, created_at, modified_at
    )
    SELECT batch_position, created.* FROM created JOIN element USING (ref);
END $$;
