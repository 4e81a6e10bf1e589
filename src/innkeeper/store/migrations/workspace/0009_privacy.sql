-- Digests of what erased guests were known by, until files at rest hold nothing of them either.

CREATE TABLE {ws}.erased (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    erased_at timestamptz NOT NULL
);
