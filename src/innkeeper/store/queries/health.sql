-- health.ping
-- Whether the database answers.
SELECT true AS up
