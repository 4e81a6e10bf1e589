-- Exports that cannot go on yet: what was wrong last, and when they are tried again.

ALTER TABLE {ws}.export_executions
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN error text,
    ADD COLUMN next_attempt_at timestamptz,
    ADD COLUMN delivery_next_at timestamptz;

ALTER TABLE {ws}.file_exports
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN next_attempt_at timestamptz;
