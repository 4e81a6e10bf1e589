-- demo.careless
-- Do not wait for the disk in this connection.
SET synchronous_commit = off

-- demo.analyse
-- Let the planner know of what was loaded.
ANALYZE
