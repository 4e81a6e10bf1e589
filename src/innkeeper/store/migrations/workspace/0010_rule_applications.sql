-- Applications of identity rules can be undone as a whole.

-- The application that made a merge.
ALTER TABLE {ws}.merges ADD COLUMN job_ref uuid;
-- Jobs run one after the other: the oldest that was unfinished at that time made it.
UPDATE {ws}.merges SET job_ref = (
    SELECT ref FROM {ws}.identity_jobs
    WHERE merging AND created_at <= merged_at AND coalesce(finished_at, 'infinity') >= merged_at
    ORDER BY created_at, ref LIMIT 1
)
WHERE source = 'rule change';
CREATE INDEX merges_by_job ON {ws}.merges (job_ref) WHERE job_ref IS NOT NULL;

-- The application whose merges a job undoes.
ALTER TABLE {ws}.identity_jobs ADD COLUMN undoes uuid REFERENCES {ws}.identity_jobs ON DELETE CASCADE;
-- The rules before and after an application, as `identity_rules` has them; null: not recorded.
ALTER TABLE {ws}.identity_jobs ADD COLUMN rules_before jsonb;
ALTER TABLE {ws}.identity_jobs ADD COLUMN rules_after jsonb;
