-- An export whose segment is deleted stays without a source, until another is chosen.

ALTER TABLE {ws}.exports ALTER COLUMN segment_ref DROP NOT NULL;
UPDATE {ws}.exports AS e SET segment_ref = NULL, next_at = NULL
WHERE NOT EXISTS (SELECT FROM {ws}.segments AS s WHERE s.ref = e.segment_ref);
ALTER TABLE {ws}.exports
    ADD FOREIGN KEY (segment_ref) REFERENCES {ws}.segments ON DELETE SET NULL;
CREATE INDEX exports_of_segment ON {ws}.exports (segment_ref);
