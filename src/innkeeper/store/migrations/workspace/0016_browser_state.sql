-- What an event must know of its browser. Functions, since several statements ask for it, and one
-- of them seldom: what it does not call costs it nothing.

-- The sessions of a browser on a channel that an event may touch, and the nearest one before them
-- and the nearest one after. It happens at `at_time` and holds a session open `until` at most.
CREATE FUNCTION {ws}.sessions_near(
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

-- A browser and those sessions, oldest first; one row without a session when there is none, and
-- no row for an unknown browser. The channel is that of the event before if none is told.
CREATE FUNCTION {ws}.browser_state(
    browser uuid, told_channel text, at_time timestamptz, until timestamptz
) RETURNS TABLE (
    browser_ref uuid, browser_guest uuid, version bigint, last_channel text,
    last_point_of_sale text, root uuid, root_type text, in_group boolean, ref uuid,
    guest_ref uuid, session_version bigint, started_at timestamptz, last_at timestamptz,
    expires_at timestamptz, cut_at timestamptz, cut_by text, events integer, about jsonb,
    cart jsonb, session_root uuid
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT b.ref, b.guest_ref, b.version, b.channel, b.point_of_sale, r.ref, r.guest_type,
        r.own IS NOT NULL, s.ref, s.guest_ref, s.version, s.started_at, s.last_at, s.expires_at,
        s.cut_at, s.cut_by, s.events, s.about, s.cart, coalesce(sg.survivor_ref, sg.ref)
    FROM {ws}.browsers AS b JOIN {ws}.guests AS g ON g.ref = b.guest_ref
    JOIN {ws}.guests AS r ON r.ref = coalesce(g.survivor_ref, g.ref)
    LEFT JOIN LATERAL {ws}.sessions_near(
        b.ref, coalesce(told_channel, b.channel, 'WEB'), at_time, until
    ) AS n (ref) ON true
    LEFT JOIN {ws}.sessions AS s ON s.ref = n.ref
    LEFT JOIN {ws}.guests AS sg ON sg.ref = s.guest_ref
    WHERE b.ref = browser
    ORDER BY s.started_at, s.expires_at;
END $$;
