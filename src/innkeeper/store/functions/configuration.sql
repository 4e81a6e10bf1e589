-- Notifications of changed configuration (`innkeeper.announce_change`). Rules and the settings of
-- streams need none: the statements that use them compare a version.

CREATE TRIGGER announce AFTER INSERT OR DELETE OR TRUNCATE ON {ws}.block_list
    FOR EACH STATEMENT EXECUTE FUNCTION innkeeper.announce_change('block_list');
