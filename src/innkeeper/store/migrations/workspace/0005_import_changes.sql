-- What imports wrote, so that they can be undone.

-- The undo of an import (actions/bulk/undo.py): {} until one is requested; null for an import whose
-- changes are not recorded.
ALTER TABLE {ws}.batches ADD COLUMN undo jsonb;

-- A chunk of an import: the guests and orders that it created, with all their parts.
CREATE TABLE {ws}.import_chunks (
    batch_ref uuid NOT NULL REFERENCES {ws}.batches ON DELETE CASCADE,
    -- `modified_at` of every row that the chunk wrote.
    written_at timestamptz NOT NULL,
    guests uuid[] NOT NULL DEFAULT '{}',
    orders uuid[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (batch_ref, written_at)
);
-- Refs do not compress.
ALTER TABLE {ws}.import_chunks ALTER COLUMN guests SET STORAGE EXTERNAL;
ALTER TABLE {ws}.import_chunks ALTER COLUMN orders SET STORAGE EXTERNAL;

-- A row that an import changed, or added to a guest or order that existed.
CREATE TABLE {ws}.import_rows (
    batch_ref uuid NOT NULL REFERENCES {ws}.batches ON DELETE CASCADE,
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    table_name text NOT NULL,
    ref uuid NOT NULL,
    -- The guest whose data it is; the order that it belongs to.
    guest_ref uuid REFERENCES {ws}.guests ON DELETE CASCADE,
    order_ref uuid REFERENCES {ws}.orders ON DELETE CASCADE,
    written_at timestamptz NOT NULL,
    -- The row before; null for a row that the import created.
    previous jsonb,
    PRIMARY KEY (batch_ref, sequence)
);
CREATE INDEX import_rows_of_guest ON {ws}.import_rows (guest_ref, batch_ref)
    WHERE guest_ref IS NOT NULL;
CREATE INDEX import_rows_of_order ON {ws}.import_rows (order_ref, batch_ref)
    WHERE order_ref IS NOT NULL;
