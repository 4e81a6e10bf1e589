-- How values compare is another: invisible characters do not count, a phone number has its
-- extension. Here the words of the search follow; keys of guests are made again by the program,
-- which knows how (`key_form`).

-- The list of values that never identify is kept as what a workspace changed of the one that comes
-- with the program, so that additions to that one reach every workspace.
ALTER TABLE {ws}.identity_settings
    ADD COLUMN never_added text[] NOT NULL DEFAULT '{}',
    ADD COLUMN never_removed text[] NOT NULL DEFAULT '{}',
    -- How the keys of the guests were derived.
    ADD COLUMN key_form integer NOT NULL DEFAULT 1;
WITH built_in (values) AS (
    SELECT ARRAY['null', 'none', 'nil', 'nan', 'n/a', 'undefined', 'unknown', 'anonymous', 'test',
        'test@test.com', 'test@example.com', 'noemail@noemail.com', 'none@none.com',
        'no@email.com', 'na@na.com', 'unknown@unknown.com', '1234567890', '+1234567890']
)
UPDATE {ws}.identity_settings SET
    never_added = ARRAY(SELECT unnest(never) EXCEPT SELECT unnest(values)),
    never_removed = ARRAY(SELECT unnest(values) EXCEPT SELECT unnest(never))
FROM built_in WHERE never IS NOT NULL;
ALTER TABLE {ws}.identity_settings DROP COLUMN never;
UPDATE {ws}.identity_settings SET key_form = 2 WHERE NOT EXISTS (SELECT FROM {ws}.guests);

-- Whether what identifies a guest holds characters that are not seen, or a phone number more than
-- digits and what stands between them.
CREATE FUNCTION {ws}.has_other_form(body jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN body::text ~ '[\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2007\u200b-\u200f\u202a-\u202f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]'
        OR concat_ws(' ', body -> 'phone_numbers', body -> 'phone') ~ '[^][0-9+ ()"/-]';
END $$;

-- By the words as they were until now.
DO $$
DECLARE
    guest record;
BEGIN
    FOR guest IN SELECT ref, body FROM {ws}.guests WHERE {ws}.has_other_form(body) LOOP
        PERFORM {ws}.forget_guest_words(guest.ref, guest.body);
    END LOOP;
END $$;

-- Words without case, accents, apostrophes, invisible characters: `Ó Néill-Smith` is {o, neill,
-- smith}. In PL/pgSQL, which plans once a connection and not at each call.
CREATE OR REPLACE FUNCTION {ws}.words_in(name text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    folded text := lower(name COLLATE "C");
    words text[];
BEGIN
    IF octet_length(name) <> length(name) THEN
        folded := regexp_replace(name, '[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]', '', 'g');
        folded := lower(normalize(folded, NFKD) COLLATE "C");
        folded := regexp_replace(folded, '[\u0300-\u036f]', '', 'g');
        folded := translate(folded,
            'ÆŒØĐÐŁÞİĦøđðłıħАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЁІЇЄҐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩς',
            'æœoddlþihoddlihабвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґαβγδεζηθικλμνξοπρστυφχψωσ');
        folded := replace(replace(replace(folded, 'æ', 'ae'), 'œ', 'oe'), 'ß', 'ss');
        folded := regexp_replace(folded, '[\u2000-\u2018\u201a-\u206f\u00a0\u3000]', ' ', 'g');
    END IF;
    words := string_to_array(
        translate(folded, E'-,;:/\\()[]{}<>|_"!?&+*=#%$@~^\t\n\r''`´’.', repeat(' ', 32)), ' ');
    RETURN ARRAY(SELECT DISTINCT left(word, 32) FROM unnest(words) AS word WHERE word <> '');
END $$;

-- A phone number is # and the last eight digits of it without its extension.
CREATE OR REPLACE FUNCTION {ws}.words_of_guest(body jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    words text[] := {ws}.words_in(concat_ws(' ', body ->> 'first_name', body ->> 'last_name'));
    phone text;
    base text;
BEGIN
    words := words[:12];
    FOREACH phone IN ARRAY CASE
        WHEN body ? 'phone_numbers' THEN
            ARRAY(SELECT jsonb_array_elements_text(body -> 'phone_numbers'))
        ELSE ARRAY[]::text[] END || coalesce(body ->> 'phone', '')
    LOOP
        IF phone ~ '[^0-9+ ().,/-]' THEN
            phone := left(phone, 250);
            base := regexp_replace(phone, '(extension|extensión|extn|ext|anexo|interno|poste|доб|x|#)[ .:=\t\u00a0]*[0-9]{1,20}\s*$', '', 'i');
            base := regexp_replace(base, '[^0-9]', '', 'g');
            phone := CASE WHEN length(base) > 4 THEN base ELSE regexp_replace(phone, '[^0-9]', '', 'g') END;
        ELSE
            phone := translate(phone, '+ -().,/', '');
        END IF;
        IF length(phone) > 5 AND NOT '#' || right(phone, 8) = ANY (words) THEN
            words := words || ('#' || right(phone, 8));
        END IF;
    END LOOP;
    RETURN words;
END $$;

SELECT {ws}.add_guest_words(ref, body) FROM {ws}.guests WHERE {ws}.has_other_form(body);
