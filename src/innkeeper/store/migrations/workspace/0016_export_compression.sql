-- How the file of an export is compressed: gzip or zstd; null for gzip where `compressed` says so.
ALTER TABLE {ws}.file_exports ADD COLUMN compression text;
