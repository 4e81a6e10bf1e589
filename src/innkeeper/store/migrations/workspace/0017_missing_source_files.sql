-- Since when a file that was imported has been missing from the listings of its source; null while it is listed.
ALTER TABLE {ws}.import_source_files ADD COLUMN missing_since timestamptz;
