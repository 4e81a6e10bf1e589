-- The version of a file's columns and order: 1 has refs as text, 2 has them as UUIDs and its rows in the order of guests.
ALTER TABLE {ws}.lake_files ADD COLUMN format_version smallint NOT NULL DEFAULT 1;
ALTER TABLE {ws}.lake_files ALTER COLUMN format_version SET DEFAULT 2;
