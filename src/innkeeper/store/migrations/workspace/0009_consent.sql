-- Consent: which field says that a guest is unsubscribed from a channel, and whom exports left out.

-- At most one row. {"EMAIL": {"field": "ext.newsletter", "values": ["no"]}, …}
CREATE TABLE {ws}.consent_settings (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    fields jsonb NOT NULL
);

-- [{"channel": "EMAIL", "field": "ext.newsletter", "guests": 12}, …]
ALTER TABLE {ws}.export_executions ADD COLUMN left_out jsonb NOT NULL DEFAULT '[]';
-- Distinct guests of these.
ALTER TABLE {ws}.export_executions ADD COLUMN unsubscribed bigint NOT NULL DEFAULT 0;
