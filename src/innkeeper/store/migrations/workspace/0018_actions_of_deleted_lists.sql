-- An action remains when its list is deleted, so that it ends with a reason.
ALTER TABLE {ws}.bulk_actions DROP CONSTRAINT bulk_actions_list_ref_fkey,
    ADD CONSTRAINT bulk_actions_list_ref_fkey FOREIGN KEY (list_ref) REFERENCES {ws}.static_lists
        ON DELETE SET NULL;
