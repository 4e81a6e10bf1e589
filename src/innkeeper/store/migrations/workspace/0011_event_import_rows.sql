-- What imports of events change: rows of any table, so that their imports can be undone, too.
ALTER TABLE {ws}.import_rows
    -- The transaction that wrote the row: undone as a whole or not at all.
    ADD COLUMN unit bigint,
    -- The primary key of the row.
    ADD COLUMN key jsonb,
    -- Digest of the row after it was written; null for a row that was deleted.
    ADD COLUMN digest uuid;
