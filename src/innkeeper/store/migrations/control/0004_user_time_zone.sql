-- The time zone in which a user sees times; UTC until chosen.

ALTER TABLE innkeeper.users ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC';
