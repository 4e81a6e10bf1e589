-- Words by which guests are found by name and phone, maintained by triggers on `guests`, so that every way
-- in is covered. They need no extension, and are the same whatever the locale of the server.
-- PL/pgSQL, because it plans once a connection and not at each call: a simple expression costs it less than
-- a microsecond, a statement about ten. An insert runs four statements, of one guest or of thousands; the
-- words of each guest are simple expressions. `{searched_texts}` and `{searched_changes}` are replaced with
-- the fields of a guest that are declared as searchable.

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
    words := array_remove(string_to_array(
        translate(folded, E'-,;:/\\()[]{}<>|_"!?&+*=#%$@~^\t\n\r''`´’.', repeat(' ', 32)), ' '), '');
    IF cardinality(words) > 2 OR words[1] = words[2] OR length(folded) > 32 THEN
        words := ARRAY(SELECT DISTINCT left(word, 32) FROM unnest(words) AS word);
    END IF;
    RETURN words;
END $$;

-- The words of a guest's name and other searchable fields, and # with the last eight digits of each phone number without its
-- extension.
CREATE FUNCTION {ws}.search_words(body jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    words text[] := {ws}.split_words(concat_ws(' ', {searched_texts}));
    phones jsonb := coalesce(body -> 'phone_numbers', '[]') || coalesce(body -> 'phone', '[]');
    phone text;
    base text;
BEGIN
    words := words[:12];
    FOR place IN 0 .. jsonb_array_length(phones) - 1 LOOP
        phone := phones ->> place;
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

-- The word with each of its letters left out, in which a search finds typos; of equal neighbours one.
CREATE FUNCTION {ws}.typos_of(word text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(left(word, place - 1) || substr(word, place + 1))
    FROM generate_series(1, length(word)) AS place
    WHERE length(word) > 2 AND substr(word, place, 1) <> substr(word, place + 1, 1)
$$;

-- Add the words of names that no guest had to the names, with their typos. OFFSET keeps the look-up of one
-- word after the other, whatever the number of names was when a connection planned it.
CREATE FUNCTION {ws}.add_names(words text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    new_words text[] := ARRAY(
        SELECT DISTINCT named FROM unnest(words) AS named
        WHERE named NOT LIKE '#%' AND NOT EXISTS (
            SELECT FROM {ws}.name_words AS stored WHERE stored.word = named OFFSET 0
        )
    );
BEGIN
    IF new_words <> '{}' THEN
        INSERT INTO {ws}.name_words (word) SELECT unnest(new_words);
        INSERT INTO {ws}.name_typos (typo, word)
        SELECT unnest({ws}.typos_of(named)), named FROM unnest(new_words) AS named;
    END IF;
END $$;

-- Add words to guests, the n-th word to the n-th guest.
CREATE FUNCTION {ws}.add_words(words text[], guests uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {ws}.guest_words (word, guest_ref) SELECT unnest(words), unnest(guests);
    PERFORM {ws}.add_names(words);
END $$;

-- Delete words of a guest. A word that no other guest has is deleted from the names too: it may be of a
-- guest who was erased.
CREATE FUNCTION {ws}.delete_words(words text[], guest uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    unused text[];
BEGIN
    DELETE FROM {ws}.guest_words WHERE word = ANY (words) AND guest_ref = guest;
    unused := ARRAY(
        SELECT named FROM unnest(words) AS named
        WHERE named NOT LIKE '#%'
          AND NOT EXISTS (SELECT FROM {ws}.guest_words AS other WHERE other.word = named)
    );
    IF unused <> '{}' THEN
        DELETE FROM {ws}.name_words WHERE word = ANY (unused);
        DELETE FROM {ws}.name_typos AS stored USING unnest(unused) AS named
        WHERE stored.typo = ANY ({ws}.typos_of(named)) AND stored.word = named;
    END IF;
END $$;

-- Add the providers of a guest's identifiers that are not stored yet, up to 200.
CREATE FUNCTION {ws}.add_providers(providers jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO {ws}.identifier_providers (provider)
    SELECT DISTINCT provider FROM jsonb_array_elements_text(providers) AS provider
    WHERE length(provider) < 256 AND (SELECT count(*) FROM {ws}.identifier_providers) < 200
    ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION {ws}.index_inserted_guests() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    each record;
    word text;
    words text[] := '{}';
    guests uuid[] := '{}';
    providers jsonb;
    stored jsonb;
BEGIN
    FOR each IN SELECT ref, body FROM inserted LOOP
        FOREACH word IN ARRAY {ws}.search_words(each.body) LOOP
            words := words || word;
            guests := guests || each.ref;
        END LOOP;
        IF each.body ? 'identifiers' AND coalesce(jsonb_array_length(stored), 0) < 200 THEN
            stored := coalesce(
                stored, (SELECT jsonb_agg(provider) FROM {ws}.identifier_providers), '[]');
            providers := jsonb_path_query_array(each.body, '$.identifiers[*].provider');
            IF NOT stored @> providers THEN
                PERFORM {ws}.add_providers(providers);
                SELECT jsonb_agg(provider) INTO stored FROM {ws}.identifier_providers;
            END IF;
        END IF;
    END LOOP;
    PERFORM {ws}.add_words(words, guests);
    RETURN NULL;
END $$;
-- A transaction with `innkeeper.creations` = 'on' writes the words of its guests itself (creations.sql).
CREATE TRIGGER index_inserted AFTER INSERT ON {ws}.guests
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
    WHEN (current_setting('innkeeper.creations', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION {ws}.index_inserted_guests();

CREATE FUNCTION {ws}.index_deleted_guest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {ws}.delete_words({ws}.search_words(OLD.body), OLD.ref);
    RETURN NULL;
END $$;
CREATE TRIGGER index_deleted AFTER DELETE ON {ws}.guests
    FOR EACH ROW EXECUTE FUNCTION {ws}.index_deleted_guest();

CREATE FUNCTION {ws}.index_updated_guest() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before text[] := {ws}.search_words(OLD.body);
    after text[] := {ws}.search_words(NEW.body);
    added text[] := ARRAY(SELECT unnest(after) EXCEPT SELECT unnest(before));
BEGIN
    PERFORM {ws}.add_words(added, array_fill(NEW.ref, ARRAY[cardinality(added)]));
    PERFORM {ws}.delete_words(ARRAY(SELECT unnest(before) EXCEPT SELECT unnest(after)), NEW.ref);
    IF NEW.body ? 'identifiers' THEN
        PERFORM {ws}.add_providers(
            jsonb_path_query_array(NEW.body, '$.identifiers[*].provider'));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER index_updated AFTER UPDATE OF body ON {ws}.guests
    FOR EACH ROW WHEN (
        {searched_changes}
        OR OLD.body -> 'phone' IS DISTINCT FROM NEW.body -> 'phone'
        OR OLD.body -> 'phone_numbers' IS DISTINCT FROM NEW.body -> 'phone_numbers'
        OR OLD.body -> 'identifiers' IS DISTINCT FROM NEW.body -> 'identifiers'
    )
    EXECUTE FUNCTION {ws}.index_updated_guest();

-- Whether the identifying values of a guest have invisible characters, or a phone number has more
-- than digits and separators: such guests had other keys in the form 1 of keys.
CREATE FUNCTION {ws}.has_unusual_characters(body jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN body::text ~ '[\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2007\u200b-\u200f\u202a-\u202f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]'
        OR concat_ws(' ', body -> 'phone_numbers', body -> 'phone') ~ '[^][0-9+ ()"/-]';
END $$;
