-- SQL that users save under a name, to write segments from.
CREATE TABLE {ws}.saved_queries (
    name text COLLATE "C" PRIMARY KEY,
    sql text NOT NULL,
    modified_by text NOT NULL,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
