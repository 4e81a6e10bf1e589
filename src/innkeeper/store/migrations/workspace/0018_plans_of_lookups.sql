-- One plan for any number of keys: PostgreSQL takes arrays it does not know for longer than they
-- are, and so would plan these lookups anew at each call, which costs more than they do.
ALTER FUNCTION {ws}.attach_person SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION {ws}.identity_candidates SET plan_cache_mode = force_generic_plan;
