-- The import of a table whose row an item was last: another row of the same file is another item.
ALTER TABLE {ws}.order_items ADD COLUMN import_ref uuid;

-- As before, but an order that is sent again without a change is not modified.
CREATE OR REPLACE FUNCTION {ws}.place_order(
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
    SET body = (o.body - cleared) || fields,
        modified_at = CASE WHEN (o.body - cleared) || fields = o.body
            THEN o.modified_at ELSE at_time END
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
