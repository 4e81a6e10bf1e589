-- Why a guest that was posted is a guest: {rule, evidence, actor}, as `guest_joins` has it of those
-- whom a record made. In the guest's own row, which is written anyway. Null for every other guest,
-- and for those from before there was this column.
ALTER TABLE {ws}.guests ADD COLUMN creation_reason jsonb;
