-- What this installation signs with is encrypted by a key outside the database, from the next start.
-- Salts stay readable: a block list must survive the loss of that key.

ALTER TABLE innkeeper.secrets
    ADD COLUMN encrypted text,
    ALTER COLUMN value DROP NOT NULL,
    ADD CHECK ((value IS NULL) <> (encrypted IS NULL));
