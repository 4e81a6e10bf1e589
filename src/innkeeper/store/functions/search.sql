-- Words by which guests are found by name and phone, maintained by triggers on `guests`, so that every way
-- in is covered. They need no extension, and are the same whatever the locale of the server.
-- PL/pgSQL, because it plans once a connection and not at each call. `{searched_texts}` and
-- `{searched_changes}` stand for the fields of a guest that are declared as searchable.

-- Words without case, accents, apostrophes, invisible characters: `Ó Néill-Smith` is {o, neill,
-- smith}.
CREATE FUNCTION {ws}.split_words(name text) RETURNS text[]
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

-- The words of a guest's name and other searchable fields, and # with the last eight digits of each phone number without its
-- extension.
CREATE FUNCTION {ws}.search_words(body jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    words text[] := {ws}.split_words(concat_ws(' ', {searched_texts}));
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

CREATE FUNCTION {ws}.add_guest_words(guest uuid, body jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    words text[] := {ws}.search_words(body);
    new_words text[];
BEGIN
    INSERT INTO {ws}.guest_words (word, guest_ref) SELECT unnest(words), guest;
    new_words := ARRAY(
        SELECT named FROM unnest(words) AS named
        WHERE named NOT LIKE '#%' AND NOT EXISTS (
            SELECT FROM {ws}.name_words AS stored WHERE stored.word = named
        )
    );
    IF cardinality(new_words) > 0 THEN
        INSERT INTO {ws}.name_words (word) SELECT unnest(new_words);
        INSERT INTO {ws}.name_typos (typo, word)
        SELECT DISTINCT left(word, place - 1) || substr(word, place + 1), word
        FROM unnest(new_words) AS word, generate_series(1, length(word)) AS place
        WHERE length(word) > 2;
    END IF;
    IF body ? 'identifiers' THEN
        INSERT INTO {ws}.identifier_providers (provider)
        SELECT DISTINCT identifier ->> 'provider'
        FROM jsonb_array_elements(body -> 'identifiers') AS identifier
        WHERE length(identifier ->> 'provider') < 256
          AND NOT EXISTS (
              SELECT FROM {ws}.identifier_providers WHERE provider = identifier ->> 'provider'
          )
          AND (SELECT count(*) FROM {ws}.identifier_providers) < 200
        ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- Delete the words of a guest. A word that no other guest has is deleted from the names too: it may
-- be of a guest who was erased.
CREATE FUNCTION {ws}.delete_guest_words(guest uuid, body jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    words text[] := {ws}.search_words(body);
    unused text[];
BEGIN
    DELETE FROM {ws}.guest_words WHERE word = ANY (words) AND guest_ref = guest;
    unused := ARRAY(
        SELECT named FROM unnest(words) AS named
        WHERE NOT EXISTS (SELECT FROM {ws}.guest_words AS other WHERE other.word = named)
    );
    IF cardinality(unused) > 0 THEN
        DELETE FROM {ws}.name_words WHERE word = ANY (unused);
        DELETE FROM {ws}.name_typos WHERE word = ANY (unused);
    END IF;
END $$;

CREATE FUNCTION {ws}.index_guest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM {ws}.delete_guest_words(OLD.ref, OLD.body);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM {ws}.add_guest_words(NEW.ref, NEW.body);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER index_inserted AFTER INSERT ON {ws}.guests
    FOR EACH ROW EXECUTE FUNCTION {ws}.index_guest();
CREATE TRIGGER index_deleted AFTER DELETE ON {ws}.guests
    FOR EACH ROW EXECUTE FUNCTION {ws}.index_guest();
CREATE TRIGGER index_updated AFTER UPDATE OF body ON {ws}.guests
    FOR EACH ROW WHEN (
        {searched_changes}
        OR OLD.body -> 'phone' IS DISTINCT FROM NEW.body -> 'phone'
        OR OLD.body -> 'phone_numbers' IS DISTINCT FROM NEW.body -> 'phone_numbers'
        OR OLD.body -> 'identifiers' IS DISTINCT FROM NEW.body -> 'identifiers'
    )
    EXECUTE FUNCTION {ws}.index_guest();

-- Whether the identifying values of a guest have invisible characters, or a phone number has more
-- than digits and separators: such guests had other keys in the form 1 of keys.
CREATE FUNCTION {ws}.has_unusual_characters(body jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN body::text ~ '[\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2007\u200b-\u200f\u202a-\u202f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]'
        OR concat_ws(' ', body -> 'phone_numbers', body -> 'phone') ~ '[^][0-9+ ()"/-]';
END $$;
