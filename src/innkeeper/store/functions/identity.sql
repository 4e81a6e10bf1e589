-- Match the person of a record with guests (actions/identity/resolve.py).
--
-- Each statement of a volatile function sees all earlier commits: a look-up after a lock sees the
-- guest of the previous holder of the lock. `force_generic_plan` makes one
-- plan for any number of keys; PostgreSQL overestimates the length of unknown arrays, and would
-- plan these look-ups at each call, which costs more than to run them.

-- Wait for other records with one of the keys, then find the guests that have them, in one round
-- trip. The version of the rules in force is on every row, and on a row of its own when no guest
-- has a key. A key finds at most `most` guests. A row without a key is that of the guest `current`.
CREATE FUNCTION {ws}.lock_and_find_candidates(
    locks bigint[], keys uuid[], most integer, current uuid DEFAULT NULL
) RETURNS TABLE (
    version uuid, key uuid, ref uuid, guest_type text, body jsonb, first_seen timestamptz,
    last_seen timestamptz, created_at timestamptz, modified_at timestamptz, survivor_ref uuid,
    unmerged jsonb
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(requested.lock) FROM unnest(locks) AS requested (lock);
    RETURN QUERY
    SELECT settings.version, candidates.*
    FROM {ws}.identity_settings AS settings
    LEFT JOIN (
        SELECT requested.key, guests.ref, guests.guest_type, guests.body, guests.first_seen,
            guests.last_seen, guests.created_at, guests.modified_at, guests.survivor_ref,
            guests.unmerged
        FROM unnest(keys) AS requested (key)
        CROSS JOIN LATERAL (
            SELECT guest_ref FROM {ws}.guest_keys WHERE guest_keys.key = requested.key LIMIT most
        ) AS owners
        JOIN {ws}.guests ON guests.ref = owners.guest_ref
        UNION ALL
        SELECT NULL, g.ref, g.guest_type, g.body, g.first_seen, g.last_seen, g.created_at,
            g.modified_at, g.survivor_ref, g.unmerged
        FROM {ws}.guests AS g WHERE g.ref = current
    ) AS candidates ON true;
END $$;

-- Attach a person to an order in one round trip, after waiting for other records with one of the
-- keys, by decisions that rules/attachment.py made in advance (`direct_decisions`) under the rules of
-- the version `rules_version`:
--   * no guest has one of the keys: the guest `new_ref` and its keys are written, with `creation`; or
--   * one guest alone has them, is in no merged group, and is `settled`: the reason is that of the
--     first of `keys` that it has, if `reasons` has one.
-- The reason is written too, and one row has the guest (`attached`). Otherwise nothing is
-- written, and the rows are those of `lock_and_find_candidates`, to decide by. No row if the order
-- does not exist.
-- Owners are looked up key by key: to find the first two of all owners, PostgreSQL may otherwise go
-- through the keys of every guest.
CREATE FUNCTION {ws}.attach_person(
    locks bigint[], keys uuid[], most integer, rules_version uuid, to_order uuid, is_contact boolean,
    person_ref uuid, person jsonb, new_ref uuid, new_type text, fields jsonb, new_keys uuid[],
    creation jsonb, reasons jsonb, settled jsonpath, settled_types text[],
    source text, actor text, at_time timestamptz
) RETURNS TABLE (
    attached boolean, version uuid, key uuid, ref uuid, guest_type text, body jsonb,
    first_seen timestamptz, last_seen timestamptz, created_at timestamptz,
    modified_at timestamptz, survivor_ref uuid, unmerged jsonb
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    owners uuid[];
    reason jsonb;
    guest uuid;
BEGIN
    PERFORM FROM {ws}.orders AS o WHERE o.ref = to_order FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(each.lock) FROM unnest(locks) AS each (lock);
    owners := ARRAY(
        SELECT DISTINCT owner.guest_ref
        FROM unnest(keys) AS each (key) CROSS JOIN LATERAL (
            SELECT k.guest_ref FROM {ws}.guest_keys AS k WHERE k.key = each.key LIMIT 2
        ) AS owner
    );
    IF owners = '{}' THEN
        INSERT INTO {ws}.guests
            (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
        SELECT new_ref, new_type, fields, at_time, at_time, at_time, at_time
        FROM {ws}.identity_settings AS s WHERE s.version = rules_version;
        IF FOUND THEN
            INSERT INTO {ws}.guest_keys (key, guest_ref) SELECT unnest(new_keys), new_ref;
            guest := new_ref;
            reason := creation;
        END IF;
    ELSIF cardinality(owners) = 1 THEN
        SELECT reasons -> (each.at - 1)::integer INTO reason
        FROM unnest(keys) WITH ORDINALITY AS each (key, at)
        JOIN {ws}.guest_keys AS k ON k.key = each.key AND k.guest_ref = owners[1]
        ORDER BY each.at LIMIT 1;
        SELECT g.ref INTO guest
        FROM {ws}.guests AS g, {ws}.identity_settings AS s
        WHERE reason <> 'null' AND g.ref = owners[1] AND s.version = rules_version
            AND g.survivor_ref IS NULL AND g.unmerged IS NULL
            AND g.guest_type = ANY (settled_types) AND jsonb_path_match(g.body, settled)
        FOR KEY SHARE OF g;
    END IF;
    IF guest IS NULL THEN
        RETURN QUERY SELECT false, c.* FROM {ws}.lock_and_find_candidates(locks, keys, most) AS c;
        RETURN;
    END IF;
    INSERT INTO {ws}.guest_joins
        (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
    VALUES (guest, reason ->> 'rule', reason -> 'evidence', source, to_order, actor, at_time);
    IF is_contact THEN
        INSERT INTO {ws}.order_contacts (ref, order_ref, guest_ref, body, created_at, modified_at)
        VALUES (person_ref, to_order, guest, person, at_time, at_time);
    ELSE
        INSERT INTO {ws}.order_consumers (ref, order_ref, guest_ref, body, created_at, modified_at)
        VALUES (person_ref, to_order, guest, person, at_time, at_time);
    END IF;
    attached := true;
    ref := guest;
    RETURN NEXT;
END $$;

-- Attach several people, of requests that arrived together. First, together, those whose decision
-- depends on no other of them: they match a guest that gains no data, or nobody and share no key with
-- another. Then each of the others, by `attach_person`. The keys of all are locked in order before.
-- Rows are looked up by their ref or key alone (OFFSET 0), whatever PostgreSQL knows of the
-- size of the tables, and a table with triggers is written only if it gets a row.
CREATE FUNCTION {ws}.attach_people(elements jsonb) RETURNS TABLE (
    batch_position integer, attached boolean, version uuid, key uuid, ref uuid, guest_type text,
    body jsonb, first_seen timestamptz, last_seen timestamptz, created_at timestamptz,
    modified_at timestamptz, survivor_ref uuid, unmerged jsonb
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    -- Of the people who are attached at once.
    positions integer[];
    guests uuid[];
    notes jsonb[];
    creates boolean;
    has_contacts boolean;
    has_consumers boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(ordered.lock) FROM (
        SELECT DISTINCT lock
        FROM jsonb_to_recordset(elements) AS each (locks bigint[]) CROSS JOIN unnest(locks) AS lock
        ORDER BY lock OFFSET 0
    ) AS ordered;
    WITH element AS MATERIALIZED (
        SELECT each.* FROM jsonb_to_recordset(elements) AS each (
            batch_position integer, ordered_keys uuid[], version uuid, "order" uuid,
            is_contact boolean, ref uuid, guest_keys uuid[], creation jsonb, reasons jsonb,
            settled jsonpath, settled_types text[]
        )
        WHERE version = (SELECT version FROM {ws}.identity_settings)
          AND EXISTS (SELECT FROM {ws}.orders AS o WHERE o.ref = "order" OFFSET 0)
    ), owned AS MATERIALIZED (
        SELECT batch_position, count(DISTINCT guest_ref) AS owners,
            (array_agg(guest_ref))[1] AS guest,
            min(at) AS at
        FROM element CROSS JOIN LATERAL (
            SELECT each.at, owner.guest_ref
            FROM unnest(ordered_keys) WITH ORDINALITY AS each (key, at) CROSS JOIN LATERAL (
                SELECT k.guest_ref FROM {ws}.guest_keys AS k WHERE k.key = each.key LIMIT 2
            ) AS owner OFFSET 0
        ) AS each GROUP BY batch_position
    ), settled AS (
        SELECT e.batch_position, e.is_contact, g.ref AS guest, reason, false AS is_new
        FROM element AS e JOIN owned USING (batch_position)
        CROSS JOIN LATERAL (SELECT e.reasons -> (owned.at - 1)::integer AS reason) AS first
        CROSS JOIN LATERAL (
            SELECT * FROM {ws}.guests WHERE guests.ref = owned.guest OFFSET 0
        ) AS g
        WHERE owners = 1 AND reason <> 'null' AND g.survivor_ref IS NULL AND g.unmerged IS NULL
          AND g.guest_type = ANY (e.settled_types) AND jsonb_path_match(g.body, e.settled)
    ), fresh AS (
        SELECT batch_position, is_contact, ref, creation, true
        FROM element WHERE batch_position NOT IN (SELECT batch_position FROM owned)
          AND NOT EXISTS (
              SELECT FROM element AS other
              WHERE other.batch_position <> element.batch_position
                AND (other.ordered_keys || other.guest_keys)
                    && (element.ordered_keys || element.guest_keys)
          )
    )
    SELECT coalesce(array_agg(batch_position), '{}'), array_agg(guest), array_agg(reason),
        bool_or(is_new), bool_or(is_contact), bool_or(NOT is_contact)
    INTO positions, guests, notes, creates, has_contacts, has_consumers
    FROM (SELECT * FROM settled UNION ALL SELECT * FROM fresh) AS attached;
    IF creates THEN
        WITH created AS (
            INSERT INTO {ws}.guests
                (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
            SELECT ref, guest_type, body, now, now, now, now
            FROM jsonb_to_recordset(elements) AS each (
                ref uuid, guest_type text, body jsonb, now timestamptz
            ) WHERE ref = ANY (guests)
        )
        INSERT INTO {ws}.guest_keys (key, guest_ref)
        SELECT unnest(guest_keys), ref
        FROM jsonb_to_recordset(elements) AS each (ref uuid, guest_keys uuid[])
        WHERE ref = ANY (guests);
    END IF;
    INSERT INTO {ws}.guest_joins (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
    SELECT done.guest, done.note ->> 'rule', done.note -> 'evidence', source, "order", actor, now
    FROM unnest(positions, guests, notes) AS done (batch_position, guest, note)
    JOIN jsonb_to_recordset(elements) AS each (
        batch_position integer, "order" uuid, source text, actor text, now timestamptz
    ) USING (batch_position);
    IF has_contacts THEN
        INSERT INTO {ws}.order_contacts (ref, order_ref, guest_ref, body, created_at, modified_at)
        SELECT person, "order", done.guest, record, now, now
        FROM unnest(positions, guests) AS done (batch_position, guest)
        JOIN jsonb_to_recordset(elements) AS each (
            batch_position integer, "order" uuid, is_contact boolean, person uuid, record jsonb,
            now timestamptz
        ) USING (batch_position) WHERE is_contact;
    END IF;
    IF has_consumers THEN
        INSERT INTO {ws}.order_consumers (ref, order_ref, guest_ref, body, created_at, modified_at)
        SELECT person, "order", done.guest, record, now, now
        FROM unnest(positions, guests) AS done (batch_position, guest)
        JOIN jsonb_to_recordset(elements) AS each (
            batch_position integer, "order" uuid, is_contact boolean, person uuid, record jsonb,
            now timestamptz
        ) USING (batch_position) WHERE NOT is_contact;
    END IF;
    RETURN QUERY SELECT done.batch_position, true, NULL::uuid, NULL::uuid, done.guest, NULL,
        NULL::jsonb, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz,
        NULL::uuid, NULL::jsonb
    FROM unnest(positions, guests) AS done (batch_position, guest);
    IF cardinality(positions) < jsonb_array_length(elements) THEN
        RETURN QUERY SELECT e.batch_position, one.*
        FROM jsonb_to_recordset(elements) AS e (
            batch_position integer, locks bigint[], ordered_keys uuid[], most integer, version uuid,
            "order" uuid, is_contact boolean, person uuid, record jsonb, ref uuid, guest_type text,
            body jsonb, guest_keys uuid[], creation jsonb, reasons jsonb, settled jsonpath,
            settled_types text[], source text, actor text, now timestamptz
        ) CROSS JOIN LATERAL {ws}.attach_person(
            e.locks, e.ordered_keys, e.most, e.version, e."order", e.is_contact, e.person, e.record,
            e.ref, e.guest_type, e.body, e.guest_keys, e.creation, e.reasons, e.settled,
            e.settled_types, e.source, e.actor, e.now
        ) AS one
        WHERE e.batch_position <> ALL (positions);
    END IF;
END $$;
