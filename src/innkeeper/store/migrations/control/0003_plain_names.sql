-- Rename the table of browsers from which a user has logged in before. Only names change.

ALTER TABLE innkeeper.known_browsers RENAME TO trusted_browsers;
ALTER TABLE innkeeper.trusted_browsers RENAME CONSTRAINT known_browsers_pkey TO trusted_browsers_pkey;
ALTER TABLE innkeeper.trusted_browsers
    RENAME CONSTRAINT known_browsers_user_ref_fkey TO trusted_browsers_user_ref_fkey;
ALTER TABLE innkeeper.trusted_browsers
    RENAME CONSTRAINT known_browsers_token_sha256_check TO trusted_browsers_token_sha256_check;
ALTER INDEX innkeeper.known_browsers_of_user RENAME TO trusted_browsers_of_user;
