-- Who saved a query first.
ALTER TABLE {ws}.saved_queries ADD COLUMN owner text;
UPDATE {ws}.saved_queries SET owner = modified_by;
ALTER TABLE {ws}.saved_queries ALTER COLUMN owner SET NOT NULL;
