-- Browsers, sessions and events.

-- A new version of the settings of the stream with every point of sale and site alias.
CREATE FUNCTION {ws}.renew_stream_settings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {ws}.stream_settings SET version = gen_random_uuid();
    RETURN NULL;
END $$;
CREATE TRIGGER renew AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {ws}.points_of_sale
    FOR EACH STATEMENT EXECUTE FUNCTION {ws}.renew_stream_settings();
CREATE TRIGGER renew AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {ws}.site_aliases
    FOR EACH STATEMENT EXECUTE FUNCTION {ws}.renew_stream_settings();

-- The sessions of a browser on a channel that an event may touch, the nearest one before them, and
-- the nearest one after. The event is at `at_time` and keeps a session open until `until` at most.
CREATE FUNCTION {ws}.nearby_sessions(
    browser uuid, at_channel text, at_time timestamptz, until timestamptz
) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT ref FROM {ws}.sessions
    WHERE browser_ref = browser AND channel = at_channel
      AND started_at <= until AND expires_at >= at_time
    UNION ALL (
        SELECT ref FROM {ws}.sessions
        WHERE browser_ref = browser AND channel = at_channel
          AND started_at <= until AND expires_at < at_time
        ORDER BY started_at DESC LIMIT 1
    ) UNION ALL (
        SELECT ref FROM {ws}.sessions
        WHERE browser_ref = browser AND channel = at_channel AND started_at > until
        ORDER BY started_at LIMIT 1
    )
$$;

-- A browser and those sessions, oldest first; one row without a session when there is none, no
-- row for an unknown browser. Without `event_channel` the channel is that of the previous event. In SQL,
-- since it is then planned as part of its statement, which for several browsers costs half as much.
CREATE FUNCTION {ws}.browser_state(
    browser uuid, event_channel text, at_time timestamptz, until timestamptz
) RETURNS TABLE (
    browser_ref uuid, browser_guest uuid, version bigint, last_channel text,
    last_point_of_sale text, root uuid, root_type text, in_group boolean, ref uuid,
    guest_ref uuid, session_version bigint, started_at timestamptz, last_at timestamptz,
    expires_at timestamptz, ended_at timestamptz, ended_by text, events integer, details jsonb,
    cart jsonb, session_root uuid
) LANGUAGE sql STABLE AS $$
    SELECT b.ref, b.guest_ref, b.version, b.channel, b.point_of_sale, r.ref, r.guest_type,
        r.unmerged IS NOT NULL, s.ref, s.guest_ref, s.version, s.started_at, s.last_at, s.expires_at,
        s.ended_at, s.ended_by, s.events, s.details, s.cart, coalesce(sg.survivor_ref, sg.ref)
    FROM {ws}.browsers AS b JOIN {ws}.guests AS g ON g.ref = b.guest_ref
    JOIN {ws}.guests AS r ON r.ref = coalesce(g.survivor_ref, g.ref)
    LEFT JOIN LATERAL {ws}.nearby_sessions(
        b.ref, coalesce(event_channel, b.channel, 'WEB'), at_time, until
    ) AS n (ref) ON true
    LEFT JOIN {ws}.sessions AS s ON s.ref = n.ref
    LEFT JOIN {ws}.guests AS sg ON sg.ref = s.guest_ref
    WHERE b.ref = browser
    ORDER BY s.started_at, s.expires_at
$$;

-- The same, after locking the browser and then those sessions until the transaction ends. Each statement
-- sees what was committed before it began.
CREATE FUNCTION {ws}.lock_browser_state(
    browser uuid, event_channel text, at_time timestamptz, until timestamptz
) RETURNS TABLE (
    browser_ref uuid, browser_guest uuid, version bigint, last_channel text,
    last_point_of_sale text, root uuid, root_type text, in_group boolean, ref uuid,
    guest_ref uuid, session_version bigint, started_at timestamptz, last_at timestamptz,
    expires_at timestamptz, ended_at timestamptz, ended_by text, events integer, details jsonb,
    cart jsonb, session_root uuid
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    channel_before text;
BEGIN
    SELECT b.channel INTO channel_before FROM {ws}.browsers AS b WHERE b.ref = browser
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM s.ref FROM {ws}.sessions AS s WHERE s.ref = ANY (ARRAY(
        SELECT n.ref FROM {ws}.nearby_sessions(
            browser, coalesce(event_channel, channel_before, 'WEB'), at_time, until
        ) AS n (ref)
    )) ORDER BY s.ref FOR NO KEY UPDATE;
    RETURN QUERY SELECT * FROM {ws}.browser_state(browser, event_channel, at_time, until);
END $$;

-- Add the partition of the month of `instant`. Attaching, unlike creating one in its place, lets
-- others write to the table meanwhile.
CREATE FUNCTION {ws}.add_events_partition(instant timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    beginning timestamptz := date_trunc('month', instant, 'UTC');
    name text := 'events_' || to_char(beginning AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('{ws}.' || name, 0));
    IF to_regclass('{ws}.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE {ws}.%I (LIKE {ws}.events INCLUDING ALL)', name);
    EXECUTE format(
        'ALTER TABLE {ws}.events ATTACH PARTITION {ws}.%I FOR VALUES FROM (%L) TO (%L)',
        name, beginning, (beginning AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
    );
END $$;
-- An event's time may be a day off; a job adds the months ahead every day.
SELECT {ws}.add_events_partition(now() + step)
FROM unnest(ARRAY['-2 days', '0', '1 month', '2 months']::interval[]) AS step;

-- Events are too many for foreign keys: they go with the sessions and guests they belong to.
CREATE FUNCTION {ws}.delete_events_of_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM {ws}.events WHERE session_ref IN (SELECT ref FROM deleted);
    RETURN NULL;
END $$;
CREATE TRIGGER delete_events AFTER DELETE ON {ws}.sessions
    REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT
    EXECUTE FUNCTION {ws}.delete_events_of_sessions();

CREATE FUNCTION {ws}.delete_events_of_guests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM {ws}.events WHERE guest_ref IN (SELECT ref FROM deleted);
    RETURN NULL;
END $$;
CREATE TRIGGER delete_events AFTER DELETE ON {ws}.guests
    REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT
    EXECUTE FUNCTION {ws}.delete_events_of_guests();
