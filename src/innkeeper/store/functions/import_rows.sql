-- Record the changes of an import of events, and undo them (actions/bulk/event_undo.py).
--
-- An event may change rows of many tables. Their triggers pass each changed row to
-- `record_import_rows` while the setting `innkeeper.import` of the connection names the import. It
-- records the key of a new row, the earlier values of changed columns, and a deleted row as a whole.

-- The columns of the primary key of a table.
CREATE FUNCTION {ws}.key_columns(of_table text) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(a.attname::text) FROM pg_index AS i JOIN pg_attribute AS a
        ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = ('{ws}.' || quote_ident(of_table))::regclass AND i.indisprimary
$$;

-- A digest of a row, without the columns that may change later for other reasons.
CREATE FUNCTION {ws}.import_digest(of_table text, stored jsonb) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    SELECT md5((stored - CASE of_table
        WHEN 'guests' THEN '{last_seen}'::text[]
        WHEN 'browsers' THEN '{version,channel,point_of_sale}'
        WHEN 'sessions' THEN '{version,closed_at,cart_type,revenue,modified_at}'
        ELSE '{}'
    END)::text)::uuid
$$;

CREATE FUNCTION {ws}.record_import_rows(of_table text, operation text, before jsonb, after jsonb)
RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    columns text[] := {ws}.key_columns(of_table);
BEGIN
    INSERT INTO {ws}.import_rows (batch_ref, unit, table_name, ref, guest_ref, order_ref,
        written_at, key, previous, digest)
    SELECT current_setting('innkeeper.import')::uuid, pg_current_xact_id()::text::bigint, of_table,
        coalesce((stored ->> 'ref')::uuid, md5(own.key::text)::uuid),
        CASE of_table WHEN 'guests' THEN stored ->> 'ref' WHEN 'merges' THEN stored ->> 'survivor_ref'
            WHEN 'guarded_evidence' THEN stored -> 'guests' ->> 0 ELSE stored ->> 'guest_ref' END::uuid,
        CASE of_table WHEN 'orders' THEN (stored ->> 'ref')::uuid
            WHEN 'order_item_extensions' THEN (
                SELECT i.order_ref FROM {ws}.order_items AS i
                WHERE i.ref = (stored ->> 'order_item_ref')::uuid
            ) ELSE (stored ->> 'order_ref')::uuid END,
        now(), own.key, changed.columns,
        CASE WHEN operation <> 'DELETE' THEN {ws}.import_digest(of_table, stored) END
    FROM jsonb_array_elements(after) AS new (stored)
    LEFT JOIN jsonb_array_elements(before) AS old (earlier) ON old.earlier -> 'ref' = new.stored -> 'ref'
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(name, new.stored -> name) AS key FROM unnest(columns) AS name
    ) AS own
    CROSS JOIN LATERAL (
        SELECT CASE operation WHEN 'DELETE' THEN new.stored WHEN 'UPDATE' THEN (
            SELECT jsonb_object_agg(name, value) FROM jsonb_each(old.earlier) AS each (name, value)
            WHERE name <> 'version' AND (value <> new.stored -> name
                OR of_table = 'sessions' AND name IN ('closed_at', 'cart_type', 'revenue'))
        ) END AS columns
    ) AS changed
    WHERE operation <> 'UPDATE' OR old.earlier - 'version' <> new.stored - 'version';
    IF of_table = 'guests' AND operation = 'INSERT' THEN
        -- A browser is created with its guest.
        PERFORM {ws}.record_import_rows('browsers', 'INSERT', NULL, jsonb_agg(to_jsonb(b)))
        FROM {ws}.browsers AS b WHERE b.guest_ref IN (
            SELECT (stored ->> 'ref')::uuid FROM jsonb_array_elements(after) AS new (stored)
        ) HAVING count(*) > 0;
    END IF;
END $$;

CREATE FUNCTION {ws}.record_relinked_browser() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('innkeeper.import', true) <> '' THEN
        PERFORM {ws}.record_import_rows('browsers', 'UPDATE', jsonb_build_array(OLD), jsonb_build_array(NEW));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER record_import AFTER UPDATE OF guest_ref ON {ws}.browsers
    FOR EACH ROW WHEN (OLD.guest_ref <> NEW.guest_ref)
    EXECUTE FUNCTION {ws}.record_relinked_browser();

-- For tables that are not in the lake; the triggers of the lake call `record_import_rows` for the others.
CREATE FUNCTION {ws}.record_import() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {record_import}
    RETURN NULL;
END $$;

DO $$
DECLARE
    recorded record;
BEGIN
    FOR recorded IN SELECT * FROM unnest(ARRAY[
        'guest_journal', 'merges', 'guarded_evidence', 'quarantine', 'event_attributes',
        'order_consumer_items', 'order_consumers'
    ]) AS recorded (on_table), (VALUES
        ('record_insert', 'INSERT', 'NEW'),
        ('record_update', 'UPDATE', 'OLD TABLE AS before NEW'),
        ('record_delete', 'DELETE', 'OLD')
    ) AS written (name, operation, rows) LOOP
        EXECUTE format(
            'CREATE TRIGGER %I AFTER %s ON {ws}.%I REFERENCING %s TABLE AS changed '
            'FOR EACH STATEMENT EXECUTE FUNCTION {ws}.record_import()',
            recorded.name, recorded.operation, recorded.on_table, recorded.rows
        );
    END LOOP;
END $$;

-- The columns of a primary key as conditions of a join of `t` with `k`.
CREATE FUNCTION {ws}.key_conditions(of_table text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('t.%1$I = k.%1$I', name), ' AND ')
    FROM unnest({ws}.key_columns(of_table)) AS name
$$;

-- Which of some rows that the import created a row refers to that it did not write. `{parts_of_orders}` stands
-- for the declared parts of orders, also as rows of the guests that some of them name.
-- One query for each kind of child, so that its plan is made once for a connection.
DO $do$
DECLARE
    child record;
    queries text := '';
BEGIN
    FOR child IN SELECT * FROM (VALUES
        ('guests', 'browsers', 'guest_ref', 'guest_ref'),
        ('guests', 'sessions', 'guest_ref', 'guest_ref'),
        ('guests', 'events', 'guest_ref', 'guest_ref'),
        ('guests', 'quarantine', 'guest_ref', 'guest_ref'),
        ('guests', 'guest_extensions', 'guest_ref', 'guest_ref'),
        ('browsers', 'sessions', 'browser_ref', 'guest_ref'),
        ('browsers', 'quarantine', 'browser_ref', 'guest_ref'),
        ('sessions', 'events', 'session_ref', 'guest_ref'),
        {parts_of_orders}
        ('orders', 'order_extensions', 'order_ref', 'order_ref')
    ) AS each (parent, name, parent_ref, owner) LOOP
        queries := queries || format(
            'IF of_table = %4$L THEN RETURN QUERY SELECT own.ref FROM unnest(refs) AS own (ref) '
            'JOIN {ws}.%1$I AS c ON c.%2$I = own.ref WHERE NOT EXISTS ('
            'SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = batch AND r.table_name = %1$L '
            'AND r.ref = c.ref AND r.%3$I = c.%3$I); END IF; ',
            child.name, child.parent_ref, child.owner, child.parent
        );
    END LOOP;
    EXECUTE format(
        'CREATE FUNCTION {ws}.rows_used_later(of_table text, refs uuid[], batch uuid) RETURNS SETOF uuid '
        'LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS %L',
        'BEGIN ' || queries || $items$
        IF of_table = 'order_items' THEN
            RETURN QUERY SELECT i.ref FROM unnest(refs) AS own (ref)
            JOIN {ws}.order_items AS i ON i.ref = own.ref
            JOIN {ws}.order_item_extensions AS c ON c.order_item_ref = i.ref
            WHERE NOT EXISTS (
                SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = batch
                  AND r.order_ref = i.order_ref AND r.ref = c.ref
            );
            RETURN QUERY SELECT own.ref FROM unnest(refs) AS own (ref)
            JOIN {ws}.order_consumer_items AS u ON u.order_item_ref = own.ref
            JOIN {ws}.order_consumers AS c ON c.ref = u.order_consumer_ref
            WHERE NOT EXISTS (
                SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = batch
                  AND r.table_name = 'order_consumers' AND r.order_ref = c.order_ref AND r.ref = c.ref
            );
        END IF;
        END $items$
    );
END $do$;

-- Whether a record that is not of the import was matched to a guest after a time.
CREATE FUNCTION {ws}.is_matched_later(guest uuid, since timestamptz, batch uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM {ws}.guest_joins AS j WHERE j.guest_ref = guest AND j.joined_at >= since
          AND j.source_ref IS DISTINCT FROM batch AND NOT EXISTS (
            SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = batch
              AND (r.guest_ref = guest AND r.ref = j.source_ref OR r.order_ref = j.source_ref)
        )
    )
$$;

-- The rows of a table that an import wrote from one position to another: the last image of each with the
-- values of its columns before all of these, null for a row that they created; and the reason why it cannot
-- be undone, since something later depends on it.
CREATE FUNCTION {ws}.import_row_states(batch uuid, of_table text, first bigint, last bigint)
RETURNS TABLE (image {ws}.import_rows, reason text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($query$
        WITH own AS MATERIALIZED (
            SELECT DISTINCT ON (ref) *, last_value(previous IS NULL) OVER of_ref AS is_created,
                last_value(written_at) OVER of_ref AS since, array_agg(previous) OVER of_ref AS before
            FROM {ws}.import_rows
            WHERE batch_ref = $1 AND table_name = %1$L AND sequence BETWEEN $2 AND $3
            WINDOW of_ref AS (PARTITION BY ref ORDER BY sequence DESC
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
            ORDER BY ref, sequence DESC
        )
        SELECT ROW(
            o.batch_ref, o.sequence, o.table_name, o.ref, o.guest_ref, o.order_ref, o.since,
            CASE WHEN NOT o.is_created THEN (
                -- Of several values of a column the earliest.
                SELECT jsonb_object_agg(name, value ORDER BY number)
                FROM unnest(o.before) WITH ORDINALITY AS image (columns, number)
                CROSS JOIN LATERAL jsonb_each(columns) AS each (name, value)
            ) END, o.unit, o.key, o.digest
        )::{ws}.import_rows, CASE
            WHEN {ws}.import_digest(%1$L, to_jsonb(t)) IS DISTINCT FROM o.digest THEN 'changed later'
            WHEN o.is_created AND o.ref IN (SELECT {ws}.rows_used_later(
                %1$L, ARRAY(SELECT ref FROM own WHERE is_created), $1
            )) THEN 'used later'
            WHEN %1$L = 'guests' AND {ws}.is_matched_later(o.ref, o.written_at, $1) THEN 'matched later'
        END
        FROM own AS o
        CROSS JOIN LATERAL jsonb_populate_record(NULL::{ws}.%1$I, o.key) AS k
        LEFT JOIN {ws}.%1$I AS t ON %2$s
    $query$, of_table, {ws}.key_conditions(of_table)) USING batch, first, last;
END $$;

-- Preview the undo of an import by its rows after `after`: the number of rows of each table that it would
-- remove and restore, and the guests and orders that cannot be undone, with the reason.
CREATE FUNCTION {ws}.check_import_rows(batch uuid, after bigint) RETURNS TABLE (
    of_table text, removed bigint, restored bigint, blocked_guest uuid, blocked_order uuid, reason text
) LANGUAGE sql AS $$
    WITH written AS (
        SELECT DISTINCT table_name FROM {ws}.import_rows
        WHERE batch_ref = batch AND sequence > after AND table_name <> 'event_attributes'
    ), checked AS MATERIALIZED (
        SELECT table_name, image, state.reason FROM written CROSS JOIN LATERAL
            {ws}.import_row_states(batch, table_name, after + 1, 9223372036854775807) AS state
    )
    SELECT table_name, count(*) FILTER (WHERE (image).previous IS NULL AND (image).digest IS NOT NULL),
        count(*) FILTER (WHERE (image).previous IS NOT NULL), NULL::uuid, NULL::uuid, NULL
    FROM checked GROUP BY table_name
    UNION ALL
    SELECT DISTINCT table_name, 0, 0, (image).guest_ref, (image).order_ref, checked.reason
    FROM checked WHERE checked.reason IS NOT NULL
$$;

-- The channel or point of sale of a browser once an import of events is undone: that of its last event since
-- the import wrote it first, else the previous one, unless a later import wrote it, too.
CREATE FUNCTION {ws}.browser_default(
    browser uuid, batch uuid, since timestamptz, previous text, current text, name text
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT CASE name WHEN 'channel' THEN e.channel ELSE e.point_of_sale END
        FROM {ws}.sessions AS s JOIN {ws}.events AS e ON e.session_ref = s.ref
        WHERE s.browser_ref = browser AND s.modified_at >= since AND e.received_at >= since
        ORDER BY e.received_at DESC, e.number DESC LIMIT 1
    ), CASE WHEN EXISTS (
        SELECT FROM {ws}.import_rows AS r JOIN {ws}.browsers AS b ON b.ref = browser
        WHERE r.guest_ref = b.guest_ref AND r.batch_ref <> batch AND r.table_name = 'browsers'
          AND r.ref = browser AND r.written_at >= since
    ) THEN current ELSE previous END)
$$;

-- Restore the columns of rows of a table, as their images have them. Versions rise, so that cached states of a
-- browser or a session do not become valid again.
CREATE FUNCTION {ws}.restore_columns(of_table text, images {ws}.import_rows[], since timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    changes text;
BEGIN
    SELECT string_agg(format('%1$I = CASE WHEN i.previous ? %1$L THEN %2$s ELSE t.%1$I END', name, CASE
        WHEN name = 'last_seen' THEN 'greatest(k.last_seen, (SELECT max(s.started_at) '
            'FROM {ws}.sessions AS s WHERE s.guest_ref = t.ref AND s.created_at >= $2))'
        WHEN name IN ('channel', 'point_of_sale') AND of_table = 'browsers' THEN format(
            '{ws}.browser_default(t.ref, i.batch_ref, i.written_at, k.%1$I, t.%1$I, %1$L)', name
        ) ELSE format('k.%I', name)
    END), ', ') || CASE WHEN of_table IN ('browsers', 'sessions') THEN ', version = t.version + 1' ELSE '' END
    INTO changes FROM (
        SELECT DISTINCT jsonb_object_keys(previous) AS name FROM unnest(images) WHERE digest IS NOT NULL
    ) AS names;
    IF changes IS NOT NULL THEN
        EXECUTE format(
            'UPDATE {ws}.%1$I AS t SET %3$s FROM unnest($1) AS i '
            'CROSS JOIN LATERAL jsonb_populate_record(NULL::{ws}.%1$I, i.key || i.previous) AS k '
            'WHERE i.previous IS NOT NULL AND i.digest IS NOT NULL AND %2$s',
            of_table, {ws}.key_conditions(of_table), changes
        ) USING images, since;
    END IF;
END $$;

-- Undo the rows that an import wrote from one position to another: whole transactions, the last ones that are
-- not undone. Returns each row with whether it was removed, or restored as it was before the import. Raises
-- an error if something later depends on one.
CREATE FUNCTION {ws}.undo_import_range(batch uuid, since timestamptz, first bigint, last bigint)
RETURNS TABLE (of_table text, row_ref uuid, removed boolean, restored boolean) LANGUAGE plpgsql AS $$
DECLARE
    written text[];
    images {ws}.import_rows[];
    is_blocked boolean;
    conditions text;
BEGIN
    DELETE FROM {ws}.guest_joins AS j USING {ws}.import_rows AS g
    WHERE g.batch_ref = batch AND g.sequence BETWEEN first AND last
      AND j.guest_ref = g.guest_ref AND j.joined_at >= since
      AND (j.source_ref = batch OR j.source_ref IN (
        SELECT unnest(ARRAY[s.ref, s.order_ref]) FROM {ws}.import_rows AS s
        WHERE s.batch_ref = batch AND s.sequence BETWEEN first AND last
      ));
    -- Rows that refer to others come before these.
    SELECT array_agg(name ORDER BY array_position(ARRAY[
        'quarantine', 'events', 'sessions', 'browsers', 'order_item_extensions', 'order_extensions',
        'order_consumer_items', 'order_consumers', 'order_contacts', 'order_items', 'orders',
        'guest_extensions', 'guest_journal', 'merges', 'guarded_evidence', 'guests'
    ], name) NULLS FIRST) INTO written FROM (
        SELECT DISTINCT table_name AS name FROM {ws}.import_rows
        WHERE batch_ref = batch AND sequence BETWEEN first AND last AND table_name <> 'event_attributes'
    ) AS names;
    FOREACH of_table IN ARRAY coalesce(written, '{}') LOOP
        conditions := {ws}.key_conditions(of_table);
        EXECUTE format(
            'SELECT FROM {ws}.import_rows AS r '
            'CROSS JOIN LATERAL jsonb_populate_record(NULL::{ws}.%1$I, r.key) AS k JOIN {ws}.%1$I AS t ON %2$s '
            'WHERE r.batch_ref = $1 AND r.table_name = %1$L AND r.sequence BETWEEN $2 AND $3 FOR UPDATE OF t',
            of_table, conditions
        ) USING batch, first, last;
        SELECT array_agg(image), bool_or(reason IS NOT NULL) INTO images, is_blocked
        FROM {ws}.import_row_states(batch, of_table, first, last);
        IF is_blocked THEN
            RAISE EXCEPTION USING ERRCODE = 'IR001';
        END IF;
        EXECUTE format(
            'DELETE FROM {ws}.%1$I AS t USING unnest($1) AS i '
            'CROSS JOIN LATERAL jsonb_populate_record(NULL::{ws}.%1$I, i.key) AS k '
            'WHERE i.previous IS NULL AND %2$s', of_table, conditions
        ) USING images;
        PERFORM {ws}.restore_columns(of_table, images, since);
        RETURN QUERY SELECT of_table, i.ref, i.previous IS NULL AND i.digest IS NOT NULL,
            i.previous IS NOT NULL AND NOT EXISTS (
                SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = batch AND r.ref = i.ref
                  AND r.table_name = i.table_name AND r.sequence < first
                  AND (r.guest_ref = i.guest_ref OR r.order_ref = i.order_ref)
            )
        FROM unnest(images) AS i;
    END LOOP;
    FOR of_table IN SELECT table_name FROM {ws}.import_rows
        WHERE batch_ref = batch AND sequence BETWEEN first AND last AND digest IS NULL
        GROUP BY table_name ORDER BY array_position(written, table_name) DESC
    LOOP
        EXECUTE format(
            'INSERT INTO {ws}.%1$I OVERRIDING SYSTEM VALUE SELECT k.* '
            'FROM {ws}.import_row_states($1, %1$L, $2, $3) AS state '
            'CROSS JOIN LATERAL jsonb_populate_record(NULL::{ws}.%1$I, (image).previous) AS k '
            'WHERE (image).previous IS NOT NULL AND (image).digest IS NULL', of_table
        ) USING batch, first, last;
    END LOOP;
    DELETE FROM {ws}.import_rows WHERE batch_ref = batch AND sequence BETWEEN first AND last
      AND table_name <> 'event_attributes';
END $$;

-- Undo transactions of an import, each from its first to its last position, the last ones first: all at once,
-- or if something later depends on one, those that it leaves.
CREATE FUNCTION {ws}.undo_import_units(batch uuid, since timestamptz, firsts bigint[], lasts bigint[])
RETURNS TABLE (of_table text, row_ref uuid, removed boolean, restored boolean) LANGUAGE plpgsql AS $$
DECLARE
    number integer := cardinality(firsts);
BEGIN
    RETURN QUERY SELECT * FROM {ws}.undo_import_range(batch, since, firsts[number], lasts[1]);
EXCEPTION WHEN SQLSTATE 'IR001' OR integrity_constraint_violation THEN
    IF number > 1 THEN
        RETURN QUERY SELECT * FROM {ws}.undo_import_units(
            batch, since, firsts[:number / 2], lasts[:number / 2]
        );
        RETURN QUERY SELECT * FROM {ws}.undo_import_units(
            batch, since, firsts[number / 2 + 1:], lasts[number / 2 + 1:]
        );
    END IF;
END $$;

-- Undo the transactions of an import that wrote the rows before `before`, the last ones first: about
-- `most` rows. Returns those rows, each with the position after them, and a row without a table. Those that
-- are not undone, because something later depends on them, are left.
CREATE FUNCTION {ws}.undo_import_rows(batch uuid, since timestamptz, before bigint, most integer)
RETURNS TABLE (of_table text, row_ref uuid, removed boolean, restored boolean, reached bigint)
LANGUAGE plpgsql AS $$
DECLARE
    firsts bigint[];
    lasts bigint[];
BEGIN
    WITH latest AS (
        SELECT unit, sequence FROM {ws}.import_rows WHERE batch_ref = batch AND sequence < before
        ORDER BY sequence DESC LIMIT most
    ), whole AS (
        SELECT unit, sequence FROM latest
        UNION
        -- The rows of a transaction, or of a guest or order in it, follow each other.
        SELECT r.unit, r.sequence FROM {ws}.import_rows AS r
        CROSS JOIN (SELECT unit, sequence FROM latest ORDER BY sequence LIMIT 1) AS edge
        WHERE r.batch_ref = batch AND r.unit = edge.unit AND r.sequence < edge.sequence
          AND r.sequence > coalesce((
            SELECT o.sequence FROM {ws}.import_rows AS o WHERE o.batch_ref = batch
              AND o.sequence < edge.sequence AND o.unit IS DISTINCT FROM edge.unit
            ORDER BY o.sequence DESC LIMIT 1
          ), 0)
    ), units AS (
        SELECT min(sequence) AS first, max(sequence) AS last FROM whole GROUP BY coalesce(unit, -sequence)
    )
    SELECT array_agg(units.first ORDER BY units.last DESC), array_agg(units.last ORDER BY units.last DESC)
    INTO firsts, lasts FROM units;
    IF firsts IS NOT NULL THEN
        RETURN QUERY SELECT part.*, firsts[cardinality(firsts)]
        FROM {ws}.undo_import_units(batch, since, firsts, lasts) AS part;
        RETURN QUERY SELECT NULL::text, NULL::uuid, false, false, firsts[cardinality(firsts)];
    END IF;
END $$;
