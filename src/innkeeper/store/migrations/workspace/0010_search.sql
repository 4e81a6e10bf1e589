-- Finding guests by name, with a slip of the pen, and by phone. Kept by triggers, so that every
-- way in is covered; needs no extension, and gives the same words whatever the server's locale.

-- A word of a guest's name, or # and the last eight digits of a phone number.
CREATE TABLE {ws}.guest_words (word text COLLATE "C" NOT NULL, guest_ref uuid NOT NULL);
CREATE INDEX guest_words_by_word ON {ws}.guest_words (word, guest_ref);

-- Each word of a name once (or, after a race, twice: a unique index would make writers wait for
-- each other), and what is left of it when any one letter is left out.
CREATE TABLE {ws}.name_words (word text COLLATE "C" NOT NULL);
CREATE INDEX name_words_by_word ON {ws}.name_words (word);
CREATE TABLE {ws}.name_slips (slip text COLLATE "C" NOT NULL, word text COLLATE "C" NOT NULL);
CREATE INDEX name_slips_by_slip ON {ws}.name_slips (slip);
CREATE INDEX name_slips_of_word ON {ws}.name_slips (word);

-- Providers of identifiers that were ever used, so that an id can be looked up by itself.
CREATE TABLE {ws}.identifier_providers (provider text COLLATE "C" PRIMARY KEY);

-- Words without case, accents, apostrophes: `Ó Néill-Smith` is {o, neill, smith}. In PL/pgSQL,
-- which plans once a connection and not at each call.
CREATE FUNCTION {ws}.words_in(name text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    folded text := lower(name COLLATE "C");
    words text[];
BEGIN
    IF octet_length(name) <> length(name) THEN
        folded := lower(normalize(name, NFKD) COLLATE "C");
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

CREATE FUNCTION {ws}.words_of_guest(body jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    words text[] := {ws}.words_in(concat_ws(' ', body ->> 'first_name', body ->> 'last_name'));
    phone text;
BEGIN
    words := words[:12];
    FOREACH phone IN ARRAY CASE
        WHEN body ? 'phone_numbers' THEN
            ARRAY(SELECT jsonb_array_elements_text(body -> 'phone_numbers'))
        ELSE ARRAY[]::text[] END || coalesce(body ->> 'phone', '')
    LOOP
        phone := translate(phone, '+ -().,/', '');
        IF length(phone) > 5 AND NOT '#' || right(phone, 8) = ANY (words) THEN
            words := words || ('#' || right(phone, 8));
        END IF;
    END LOOP;
    RETURN words;
END $$;

CREATE FUNCTION {ws}.add_guest_words(guest uuid, body jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    words text[] := {ws}.words_of_guest(body);
    fresh text[];
BEGIN
    INSERT INTO {ws}.guest_words (word, guest_ref) SELECT unnest(words), guest;
    fresh := ARRAY(
        SELECT named FROM unnest(words) AS named
        WHERE named NOT LIKE '#%' AND NOT EXISTS (
            SELECT FROM {ws}.name_words AS known WHERE known.word = named
        )
    );
    IF cardinality(fresh) > 0 THEN
        INSERT INTO {ws}.name_words (word) SELECT unnest(fresh);
        INSERT INTO {ws}.name_slips (slip, word)
        SELECT DISTINCT left(word, place - 1) || substr(word, place + 1), word
        FROM unnest(fresh) AS word, generate_series(1, length(word)) AS place
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

-- A word that no guest has any more is forgotten too: it may be a name that was erased.
CREATE FUNCTION {ws}.forget_guest_words(guest uuid, body jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    words text[] := {ws}.words_of_guest(body);
    gone text[];
BEGIN
    DELETE FROM {ws}.guest_words WHERE word = ANY (words) AND guest_ref = guest;
    gone := ARRAY(
        SELECT named FROM unnest(words) AS named
        WHERE NOT EXISTS (SELECT FROM {ws}.guest_words AS kept WHERE kept.word = named)
    );
    IF cardinality(gone) > 0 THEN
        DELETE FROM {ws}.name_words WHERE word = ANY (gone);
        DELETE FROM {ws}.name_slips WHERE word = ANY (gone);
    END IF;
END $$;

CREATE FUNCTION {ws}.index_guest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM {ws}.forget_guest_words(OLD.ref, OLD.body);
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
        OLD.body -> 'first_name' IS DISTINCT FROM NEW.body -> 'first_name'
        OR OLD.body -> 'last_name' IS DISTINCT FROM NEW.body -> 'last_name'
        OR OLD.body -> 'phone' IS DISTINCT FROM NEW.body -> 'phone'
        OR OLD.body -> 'phone_numbers' IS DISTINCT FROM NEW.body -> 'phone_numbers'
        OR OLD.body -> 'identifiers' IS DISTINCT FROM NEW.body -> 'identifiers'
    )
    EXECUTE FUNCTION {ws}.index_guest();

-- Guests that were here before.
SELECT {ws}.add_guest_words(ref, body) FROM {ws}.guests;
