-- Erased guests found again in files of audience exports.

-- Who is in a file, row by row; the file that this one is written in place of, until it is gone.
ALTER TABLE {ws}.export_files ADD COLUMN guests uuid[] NOT NULL DEFAULT '{}';
ALTER TABLE {ws}.export_files ADD COLUMN replaced text;
-- Refs do not compress.
ALTER TABLE {ws}.export_files ALTER COLUMN guests SET STORAGE EXTERNAL;

-- The ref of an erased guest, beside its digest.
ALTER TABLE {ws}.erased ADD COLUMN guest_ref uuid;
