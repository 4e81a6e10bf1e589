-- guest_views.columns
-- The columns of a view.
ref, name, owner, is_shared, definition, columns, sort, created_at, modified_at

-- guest_views.visible
-- Condition: an actor sees a view: its own and shared ones; the operator, who has commands, all.
(is_shared OR owner = %(actor)s OR %(actor)s = 'operator')

-- guest_views.list
-- The views that an actor sees, by name.
SELECT {guest_views.columns} FROM {ws}.guest_views WHERE {guest_views.visible}
ORDER BY lower(name), ref LIMIT %(most)s

-- guest_views.fetch
-- One view that an actor sees.
SELECT {guest_views.columns} FROM {ws}.guest_views
WHERE ref = %(ref)s AND {guest_views.visible}

-- guest_views.lock
-- One view that an actor sees, locked until the transaction ends.
SELECT {guest_views.columns} FROM {ws}.guest_views
WHERE ref = %(ref)s AND {guest_views.visible} FOR UPDATE

-- guest_views.create
-- Insert a view.
INSERT INTO {ws}.guest_views
    (ref, name, owner, is_shared, definition, columns, sort, created_at, modified_at)
VALUES (%(ref)s, %(name)s, %(actor)s, %(is_shared)s, %(definition)s, %(columns)s, %(sort)s, %(now)s,
    %(now)s)
RETURNING {guest_views.columns}

-- guest_views.rewrite
-- Replace the members of a locked view.
UPDATE {ws}.guest_views SET name = %(name)s, is_shared = %(is_shared)s, definition = %(definition)s,
    columns = %(columns)s, sort = %(sort)s,
    modified_at = greatest(%(now)s, modified_at + interval '1 microsecond')
WHERE ref = %(ref)s
RETURNING {guest_views.columns}

-- guest_views.delete
-- Delete a view.
DELETE FROM {ws}.guest_views WHERE ref = %(ref)s
