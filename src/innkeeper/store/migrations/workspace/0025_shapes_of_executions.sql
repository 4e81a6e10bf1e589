-- How the files of an execution are written: the settings of its export at that time, which may
-- change afterwards. Null for an execution that has not ended, or has failed.
ALTER TABLE {ws}.export_executions ADD COLUMN shape jsonb;
UPDATE {ws}.export_executions AS x SET shape = e.shape
FROM {ws}.exports AS e WHERE e.ref = x.export_ref AND x.status = 'SUCCESS';
