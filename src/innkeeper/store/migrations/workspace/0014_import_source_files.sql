-- The files below the prefix of an import source that were imported. Only digests: names may hold
-- what an erasure removes.
CREATE TABLE {ws}.import_source_files (
    source_ref uuid NOT NULL REFERENCES {ws}.import_sources ON DELETE CASCADE,
    name_digest uuid NOT NULL,
    version_digest uuid NOT NULL,
    PRIMARY KEY (source_ref, name_digest)
);
