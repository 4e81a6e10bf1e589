-- demo.disable_synchronous_commit
-- Let commits of this connection return before they are on disk.
SET synchronous_commit = off

-- demo.analyse
-- Update the statistics of the planner.
ANALYZE
