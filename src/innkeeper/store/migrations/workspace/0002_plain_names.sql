-- Rename columns, tables and indexes whose names did not say what they hold. Only names change.

-- What a merged guest would be without its merges.
ALTER TABLE {ws}.guests RENAME COLUMN own TO unmerged;

-- Evidence that a guard kept from matching guests, or from merging them.
ALTER TABLE {ws}.identity_guarded RENAME TO guarded_evidence;
ALTER TABLE {ws}.guarded_evidence RENAME CONSTRAINT identity_guarded_pkey TO guarded_evidence_pkey;
ALTER INDEX {ws}.identity_guarded_by_guest RENAME TO guarded_evidence_of_guest;
ALTER SEQUENCE {ws}.identity_guarded_sequence_seq RENAME TO guarded_evidence_sequence_seq;

ALTER TABLE {ws}.identity_settings RENAME COLUMN never_added TO placeholders_added;
ALTER TABLE {ws}.identity_settings RENAME COLUMN never_removed TO placeholders_removed;

ALTER TABLE {ws}.identity_jobs RENAME COLUMN reached TO last_guest_ref;
ALTER TABLE {ws}.identity_jobs RENAME COLUMN after TO awaited_transaction;

-- Sessions and events: when and why a session ended early, and what else is stored of it.
ALTER TABLE {ws}.sessions RENAME COLUMN cut_at TO ended_at;
ALTER TABLE {ws}.sessions RENAME COLUMN cut_by TO ended_by;
ALTER TABLE {ws}.sessions RENAME CONSTRAINT sessions_cut_by_check TO sessions_ended_by_check;
ALTER TABLE {ws}.sessions RENAME COLUMN about TO details;
ALTER TABLE {ws}.events RENAME COLUMN reach TO timeout_seconds;
ALTER TABLE {ws}.events RENAME COLUMN cuts TO ends_session;

ALTER TABLE {ws}.quarantine RENAME COLUMN came TO request;
ALTER INDEX {ws}.quarantine_waiting RENAME TO quarantine_pending;

ALTER TABLE {ws}.webhook_messages RENAME COLUMN given_up_at TO failed_at;

-- The earlier file that an export's file replaces, until that is deleted.
ALTER TABLE {ws}.export_files RENAME COLUMN replaced TO replaced_name;

-- Batches and imports: the entity of the records, how to read the file, and whether it is stored.
ALTER TABLE {ws}.batches RENAME COLUMN holds TO entity;
ALTER TABLE {ws}.batches RENAME COLUMN about TO file_options;
ALTER TABLE {ws}.batches RENAME COLUMN kept TO is_stored;

-- The block list, with the number of refused records of each identifier.
ALTER TABLE {ws}.suppressed RENAME TO block_list;
ALTER TABLE {ws}.block_list RENAME COLUMN refused TO refusals;
ALTER TABLE {ws}.block_list RENAME CONSTRAINT suppressed_pkey TO block_list_pkey;
ALTER TABLE {ws}.block_list RENAME CONSTRAINT suppressed_digest_check TO block_list_digest_check;

-- Identifiers of erased guests that stored files may still contain.
ALTER TABLE {ws}.erased RENAME TO erased_identifiers;
ALTER TABLE {ws}.erased_identifiers RENAME CONSTRAINT erased_pkey TO erased_identifiers_pkey;
ALTER TABLE {ws}.erased_identifiers
    RENAME CONSTRAINT erased_digest_check TO erased_identifiers_digest_check;

-- Why a file was not read to its end.
UPDATE {ws}.batches SET fault = 'started again' WHERE fault = 'begun again';
UPDATE {ws}.batches SET fault = 'discarded' WHERE fault = 'given up';
