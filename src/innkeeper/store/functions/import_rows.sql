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

-- Whether a row that the import did not write refers to a row that it created. `{parts_of_orders}` stands
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
            'IF of_table = %4$L AND EXISTS (SELECT FROM {ws}.%1$I AS c WHERE c.%2$I = row_ref AND NOT EXISTS ('
            'SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = batch AND r.table_name = %1$L '
            'AND r.ref = c.ref AND r.%3$I = c.%3$I)) THEN RETURN true; END IF; ',
            child.name, child.parent_ref, child.owner, child.parent
        );
    END LOOP;
    EXECUTE format(
        'CREATE FUNCTION {ws}.is_used_later(of_table text, row_ref uuid, batch uuid) RETURNS boolean '
        'LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS %L',
        'BEGIN ' || queries || $items$
        IF of_table = 'order_items' THEN
            RETURN EXISTS (
                SELECT FROM {ws}.order_items AS i
                JOIN {ws}.order_item_extensions AS c ON c.order_item_ref = i.ref
                WHERE i.ref = row_ref AND NOT EXISTS (
                    SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = batch
                      AND r.order_ref = i.order_ref AND r.ref = c.ref
                )
            ) OR EXISTS (
                SELECT FROM {ws}.order_consumer_items AS u
                JOIN {ws}.order_consumers AS c ON c.ref = u.order_consumer_ref
                WHERE u.order_item_ref = row_ref AND NOT EXISTS (
                    SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = batch
                      AND r.table_name = 'order_consumers' AND r.order_ref = c.order_ref AND r.ref = c.ref
                )
            );
        END IF;
        RETURN false;
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

-- The reason why a row that an import wrote cannot be undone, since something later depends on it; null
-- if it can be undone.
CREATE FUNCTION {ws}.import_row_blocked(image {ws}.import_rows, is_created boolean, stored jsonb)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN {ws}.import_digest(image.table_name, stored) IS DISTINCT FROM image.digest
            THEN 'changed later'
        WHEN is_created AND {ws}.is_used_later(image.table_name, image.ref, image.batch_ref)
            THEN 'used later'
        WHEN image.table_name = 'guests'
            AND {ws}.is_matched_later(image.ref, image.written_at, image.batch_ref)
            THEN 'matched later'
    END
$$;

-- Preview the undo of an import by its rows after `after`: the number of rows of each table that it would
-- remove and restore, and the guests and orders that cannot be undone, with the reason.
CREATE FUNCTION {ws}.check_import_rows(batch uuid, after bigint) RETURNS TABLE (
    of_table text, removed bigint, restored bigint, blocked_guest uuid, blocked_order uuid, reason text
) LANGUAGE plpgsql AS $$
DECLARE
    written text;
BEGIN
    FOR written IN SELECT DISTINCT table_name FROM {ws}.import_rows
        WHERE batch_ref = batch AND sequence > after AND table_name <> 'event_attributes'
    LOOP
        RETURN QUERY EXECUTE format($query$
            WITH own AS MATERIALIZED (
                SELECT (array_agg(r ORDER BY sequence))[1] AS first,
                    (array_agg(r ORDER BY sequence DESC))[1] AS last
                FROM {ws}.import_rows AS r
                WHERE batch_ref = $1 AND table_name = %1$L AND sequence > $2 GROUP BY ref
            ), checked AS MATERIALIZED (
                SELECT first, last, {ws}.import_row_blocked(last, (first).previous IS NULL, (
                    SELECT to_jsonb(t) FROM {ws}.%1$I AS t
                    JOIN jsonb_populate_record(NULL::{ws}.%1$I, (last).key) AS k ON %2$s
                )) AS reason FROM own
            )
            SELECT %1$L, count(*) FILTER (WHERE (first).previous IS NULL AND (last).digest IS NOT NULL),
                count(*) FILTER (WHERE (first).previous IS NOT NULL), NULL::uuid, NULL::uuid, NULL
            FROM checked
            UNION ALL
            SELECT DISTINCT %1$L, 0, 0, (last).guest_ref, (last).order_ref, reason
            FROM checked WHERE reason IS NOT NULL
        $query$, written, {ws}.key_conditions(written)) USING batch, after;
    END LOOP;
END $$;

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

-- Undo one row that an import wrote: the last one that is not undone. Raises an error if something later
-- depends on it.
CREATE FUNCTION {ws}.undo_import_row(image {ws}.import_rows, since timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    of_table text := image.table_name;
    conditions text := {ws}.key_conditions(of_table);
    is_created boolean := image.previous IS NULL;
    stored jsonb;
    changes text;
BEGIN
    EXECUTE format(
        'SELECT to_jsonb(t) FROM {ws}.%1$I AS t '
        'JOIN jsonb_populate_record(NULL::{ws}.%1$I, $1) AS k ON %2$s FOR UPDATE OF t',
        of_table, conditions
    ) INTO stored USING image.key;
    IF {ws}.import_row_blocked(image, is_created, stored) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'IR001';
    ELSIF is_created THEN
        EXECUTE format(
            'DELETE FROM {ws}.%1$I AS t USING jsonb_populate_record(NULL::{ws}.%1$I, $1) AS k WHERE %2$s',
            of_table, conditions
        ) USING image.key;
    ELSIF image.digest IS NULL THEN
        EXECUTE format(
            'INSERT INTO {ws}.%1$I OVERRIDING SYSTEM VALUE '
            'SELECT k.* FROM jsonb_populate_record(NULL::{ws}.%1$I, $1) AS k', of_table
        ) USING image.previous;
    ELSE
        -- Another version, so that cached states of a browser or a session do not become valid again.
        SELECT string_agg(CASE
            WHEN name = 'last_seen' THEN 'last_seen = greatest(k.last_seen, (SELECT max(s.started_at) '
                'FROM {ws}.sessions AS s WHERE s.guest_ref = t.ref AND s.created_at >= $2))'
            WHEN name IN ('channel', 'point_of_sale') AND of_table = 'browsers' THEN
                format('%1$I = {ws}.browser_default(t.ref, $3, $4, k.%1$I, t.%1$I, %1$L)', name)
            ELSE format('%1$I = k.%1$I', name)
        END, ', ') || CASE WHEN of_table IN ('browsers', 'sessions')
            THEN ', version = t.version + 1' ELSE '' END
        INTO changes FROM jsonb_object_keys(image.previous) AS name;
        EXECUTE format(
            'UPDATE {ws}.%1$I AS t SET %3$s FROM jsonb_populate_record(NULL::{ws}.%1$I, $1) AS k WHERE %2$s',
            of_table, conditions, changes
        ) USING image.key || image.previous, since, image.batch_ref, image.written_at;
    END IF;
END $$;

-- Undo one transaction of an import: the rows from `first` to `last`. Returns each row with whether
-- the undo removed it, or restored the row from before the import.
CREATE FUNCTION {ws}.undo_import_unit(batch uuid, since timestamptz, first bigint, last bigint)
RETURNS TABLE (of_table text, row_ref uuid, removed boolean, restored boolean) LANGUAGE plpgsql AS $$
DECLARE
    image {ws}.import_rows;
BEGIN
    DELETE FROM {ws}.guest_joins AS j USING {ws}.import_rows AS g, {ws}.import_rows AS s
    WHERE g.batch_ref = batch AND g.sequence BETWEEN first AND last
      AND s.batch_ref = batch AND s.sequence BETWEEN first AND last
      AND j.guest_ref = g.guest_ref AND j.joined_at >= since
      AND j.source_ref IN (s.ref, s.order_ref, batch);
    FOR image IN SELECT * FROM {ws}.import_rows WHERE batch_ref = batch
        AND sequence BETWEEN first AND last AND table_name <> 'event_attributes'
        ORDER BY sequence DESC
    LOOP
        PERFORM {ws}.undo_import_row(image, since);
        of_table := image.table_name;
        row_ref := image.ref;
        removed := image.previous IS NULL;
        restored := NOT removed AND NOT EXISTS (
            SELECT FROM {ws}.import_rows AS r WHERE r.batch_ref = batch AND r.ref = image.ref
              AND r.table_name = image.table_name AND r.sequence < image.sequence
              AND (r.guest_ref = image.guest_ref OR r.order_ref = image.order_ref)
        );
        RETURN NEXT;
    END LOOP;
    DELETE FROM {ws}.import_rows WHERE batch_ref = batch AND sequence BETWEEN first AND last
      AND table_name <> 'event_attributes';
END $$;

-- Undo the transactions of an import that wrote the rows before `before`, the last ones first: about
-- `most` rows. Returns those rows, each with the position after its transaction, and a row without a
-- table for a transaction that is not undone, because something later depends on it.
CREATE FUNCTION {ws}.undo_import_rows(batch uuid, since timestamptz, before bigint, most integer)
RETURNS TABLE (of_table text, row_ref uuid, removed boolean, restored boolean, reached bigint)
LANGUAGE plpgsql AS $$
DECLARE
    part record;
BEGIN
    FOR part IN
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
        )
        SELECT min(sequence) AS first, max(sequence) AS last FROM whole
        GROUP BY coalesce(unit, -sequence) ORDER BY 2 DESC
    LOOP
        BEGIN
            RETURN QUERY SELECT unit.*, part.first
            FROM {ws}.undo_import_unit(batch, since, part.first, part.last) AS unit;
        EXCEPTION WHEN SQLSTATE 'IR001' OR integrity_constraint_violation THEN
            NULL;
        END;
        RETURN QUERY SELECT NULL::text, NULL::uuid, false, false, part.first;
    END LOOP;
END $$;
