-- Whom or what a row of the audit log is about, and what changed. Of guests both go with an erasure.

ALTER TABLE innkeeper.audit_log
    ADD COLUMN subject_kind text,
    ADD COLUMN subject text,
    -- {"field": [before, after]}
    ADD COLUMN changes jsonb;
CREATE INDEX audit_log_of_subject ON innkeeper.audit_log (subject_hash)
    WHERE subject_hash IS NOT NULL;
