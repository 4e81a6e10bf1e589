-- Who has a key is looked up key by key: to find the first two of all owners, PostgreSQL may
-- otherwise go through the keys of every guest. And the reasons come as one value.
DROP FUNCTION {ws}.attach_person;

-- Wait for other arrivals with a key of the person. The person is put on the order at once, with
-- the reason noted, and one row tells the guest (`made`), when the rules are those that the caller
-- went by and
--   * no guest has one of the keys: then the guest and its keys are written too; or
--   * one guest alone has them, nothing is or was merged with it, it has every member that was told
--     (`told`, `identifiers`) and is no visitor, and `reasons` has the rule and evidence by which
--     the first of its keys (`wanted` is in the order of rules) identifies. That is so of keys that
--     always hold for who has them: of an identifier without expiry, or an e-mail address.
-- Otherwise nothing is written, and the rows are those of `identity_candidates`; none when there
-- is no such order.
CREATE FUNCTION {ws}.attach_person(
    locks bigint[], wanted uuid[], most integer, known_version uuid, the_order uuid, is_contact boolean,
    person_ref uuid, person jsonb, new_ref uuid, new_type text, fields jsonb, new_keys uuid[],
    met text, evidence jsonb, reasons jsonb, told text[], identifiers jsonb,
    source text, actor text, at_time timestamptz
) RETURNS TABLE (
    made boolean, version uuid, key uuid, ref uuid, guest_type text, body jsonb,
    first_seen timestamptz, last_seen timestamptz, created_at timestamptz,
    modified_at timestamptz, survivor_ref uuid, own jsonb
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    owners uuid[];
    why jsonb;
    chosen uuid;
BEGIN
    PERFORM FROM {ws}.orders AS o WHERE o.ref = the_order FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(each.lock) FROM unnest(locks) AS each (lock);
    owners := ARRAY(
        SELECT DISTINCT owner.guest_ref
        FROM unnest(wanted) AS each (key) CROSS JOIN LATERAL (
            SELECT k.guest_ref FROM {ws}.guest_keys AS k WHERE k.key = each.key LIMIT 2
        ) AS owner
    );
    IF owners = '{}' THEN
        INSERT INTO {ws}.guests
            (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
        SELECT new_ref, new_type, fields, at_time, at_time, at_time, at_time
        FROM {ws}.identity_settings AS s WHERE s.version = known_version;
        IF FOUND THEN
            INSERT INTO {ws}.guest_keys (key, guest_ref) SELECT unnest(new_keys), new_ref;
            chosen := new_ref;
            why := jsonb_build_object('rule', met, 'evidence', evidence);
        END IF;
    ELSIF cardinality(owners) = 1 THEN
        SELECT reasons -> (each.at - 1)::integer INTO why
        FROM unnest(wanted) WITH ORDINALITY AS each (key, at)
        JOIN {ws}.guest_keys AS k ON k.key = each.key AND k.guest_ref = owners[1]
        ORDER BY each.at LIMIT 1;
        SELECT g.ref INTO chosen
        FROM {ws}.guests AS g, {ws}.identity_settings AS s
        WHERE why <> 'null' AND g.ref = owners[1] AND s.version = known_version
            AND g.survivor_ref IS NULL AND g.own IS NULL AND g.guest_type <> 'visitor'
            AND g.body ?& told AND coalesce(g.body -> 'identifiers', '[]') @> identifiers
            AND NOT jsonb_path_exists(g.body, '$.identifiers[*].expiryDate')
            AND NOT EXISTS (
                SELECT FROM unnest(told) AS name WHERE g.body -> name IN ('[]', '""', 'null')
            )
        FOR KEY SHARE OF g;
    END IF;
    IF chosen IS NULL THEN
        RETURN QUERY SELECT false, c.* FROM {ws}.identity_candidates(locks, wanted, most) AS c;
        RETURN;
    END IF;
    INSERT INTO {ws}.guest_joins
        (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
    VALUES (chosen, why ->> 'rule', why -> 'evidence', source, the_order, actor, at_time);
    IF is_contact THEN
        INSERT INTO {ws}.order_contacts (ref, order_ref, guest_ref, body, created_at, modified_at)
        VALUES (person_ref, the_order, chosen, person, at_time, at_time);
    ELSE
        INSERT INTO {ws}.order_consumers (ref, order_ref, guest_ref, body, created_at, modified_at)
        VALUES (person_ref, the_order, chosen, person, at_time, at_time);
    END IF;
    made := true;
    ref := chosen;
    RETURN NEXT;
END $$;
