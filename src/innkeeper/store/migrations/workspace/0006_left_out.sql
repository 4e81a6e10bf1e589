-- Imports: cells that were left out of records, and the stored file of refused rows.

-- Why cells were left out of records that were imported without them: {"reason": cells, …}.
ALTER TABLE {ws}.batches ADD COLUMN left_out jsonb NOT NULL DEFAULT '{}';
-- Whether the rows that an import refused are stored as a file.
ALTER TABLE {ws}.batches ADD COLUMN has_rejects boolean NOT NULL DEFAULT false;
