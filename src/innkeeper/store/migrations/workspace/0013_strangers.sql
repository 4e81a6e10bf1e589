-- People on orders whom nobody knows yet, in one round trip.

-- Wait for other arrivals with a key of the person. When no guest has one, and the order is there
-- and the rules are those that the caller went by: the guest, its keys, why it was made, and its
-- place on the order are written, and one row says so. Otherwise nothing is, and the rows are those
-- of `identity_candidates`; none when there is no such order.
CREATE FUNCTION {ws}.attach_stranger(
    locks bigint[], wanted uuid[], most integer, known_version uuid, the_order uuid, is_contact boolean,
    person_ref uuid, person jsonb, new_ref uuid, new_type text, fields jsonb, new_keys uuid[],
    met text, evidence jsonb, source text, actor text, at_time timestamptz
) RETURNS TABLE (
    made boolean, version uuid, key uuid, ref uuid, guest_type text, body jsonb,
    first_seen timestamptz, last_seen timestamptz, created_at timestamptz,
    modified_at timestamptz, survivor_ref uuid, own jsonb
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM {ws}.orders AS o WHERE o.ref = the_order FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(each.lock) FROM unnest(locks) AS each (lock);
    IF NOT EXISTS (SELECT FROM {ws}.guest_keys AS k WHERE k.key = ANY (wanted)) THEN
        INSERT INTO {ws}.guests
            (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
        SELECT new_ref, new_type, fields, at_time, at_time, at_time, at_time
        FROM {ws}.identity_settings AS s WHERE s.version = known_version;
        IF FOUND THEN
            INSERT INTO {ws}.guest_keys (key, guest_ref) SELECT unnest(new_keys), new_ref;
            INSERT INTO {ws}.guest_joins
                (guest_ref, rule, evidence, source, source_ref, actor, joined_at)
            VALUES (new_ref, met, evidence, source, the_order, actor, at_time);
            IF is_contact THEN
                INSERT INTO {ws}.order_contacts
                    (ref, order_ref, guest_ref, body, created_at, modified_at)
                VALUES (person_ref, the_order, new_ref, person, at_time, at_time);
            ELSE
                INSERT INTO {ws}.order_consumers
                    (ref, order_ref, guest_ref, body, created_at, modified_at)
                VALUES (person_ref, the_order, new_ref, person, at_time, at_time);
            END IF;
            made := true;
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    RETURN QUERY SELECT false, c.* FROM {ws}.identity_candidates(locks, wanted, most) AS c;
END $$;
