-- extensions.create
-- A new data extension of a locked guest; no row when that name and key exist.
INSERT INTO {ws}.guest_extensions
    (guest_ref, name, key, ref, pairs, single, created_at, modified_at)
VALUES (%(guest)s, %(name)s, %(key)s, %(ref)s, %(pairs)s, %(single)s, %(now)s, %(now)s)
ON CONFLICT DO NOTHING
RETURNING guest_ref, name, key, ref, pairs, single, created_at, modified_at

-- extensions.of_guest
-- Every data extension of a live guest, oldest first.
SELECT guest_ref, name, key, ref, pairs, single, created_at, modified_at
FROM {ws}.guest_extensions WHERE guest_ref = %(guest)s
AND EXISTS (SELECT FROM {ws}.guests WHERE guests.ref = %(guest)s AND survivor_ref IS NULL)
ORDER BY created_at, name, key

-- extensions.of_guests
-- Every data extension of several guests, oldest first.
SELECT guest_ref, name, key, ref, pairs, single, created_at, modified_at
FROM {ws}.guest_extensions WHERE guest_ref = ANY (%(guests)s::uuid[])
ORDER BY guest_ref, created_at, name, key

-- extensions.rewrite
-- New pairs for an extension of a locked guest.
UPDATE {ws}.guest_extensions
SET pairs = %(pairs)s, single = %(single)s, modified_at = %(now)s
WHERE guest_ref = %(guest)s AND name = %(name)s AND key = %(key)s
RETURNING guest_ref, name, key, ref, pairs, single, created_at, modified_at

-- extensions.delete
-- Remove every key of a name.
DELETE FROM {ws}.guest_extensions WHERE guest_ref = %(guest)s AND name = %(name)s
