-- The order that was made without an event, while that waited in quarantine.
ALTER TABLE {ws}.quarantine ADD COLUMN order_ref uuid REFERENCES {ws}.orders ON DELETE SET NULL;
CREATE INDEX quarantine_of_order ON {ws}.quarantine (order_ref) WHERE order_ref IS NOT NULL;
