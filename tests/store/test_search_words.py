"""P2: search words are written once a statement, as if each guest were indexed alone."""

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

import psycopg

ANN = {"first_name": "Ann", "last_name": "Reilly", "phone_numbers": ["+353 86 1234567"]}
ODD = {
    "first_name": "Ó Néill-Smith",
    "last_name": "Ann",
    "phone_numbers": ["0861112223 ext. 4", "12"],
    "phone": "0861112223",
    "identifiers": [{"provider": "CRM", "id": "1"}, {"provider": "till", "id": "2"}],
}
WORDS = {"ann": {"ann", "reilly", "#61234567"}, "odd": {"o", "neill", "smith", "ann", "#61112223"}}


def insert(connection: psycopg.Connection[Any], bodies: Iterable[dict[str, Any]]) -> list[UUID]:
    """Insert guests in one statement."""
    rows = connection.execute(
        "INSERT INTO ws_live.guests SELECT gen_random_uuid(), 'customer', body, now(), now(), "
        "now(), now() FROM unnest(%s::jsonb[]) AS body RETURNING ref",
        [[json.dumps(body) for body in bodies]],
    ).fetchall()
    return [row[0] for row in rows]


def words_of(connection: psycopg.Connection[Any], guest: UUID) -> list[str]:
    rows = connection.execute(
        "SELECT word FROM ws_live.guest_words WHERE guest_ref = %s ORDER BY 1", [guest]
    )
    return [row[0] for row in rows]


def vocabulary(connection: psycopg.Connection[Any]) -> tuple[list[str], list[tuple[str, str]]]:
    names = connection.execute("SELECT word FROM ws_live.name_words ORDER BY 1").fetchall()
    typos = connection.execute("SELECT typo, word FROM ws_live.name_typos ORDER BY 2, 1")
    return [row[0] for row in names], typos.fetchall()


def expected(words: Iterable[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Each word once, and each form of a word with a letter left out once."""
    names = sorted(word for word in words if not word.startswith("#"))
    forms = {(w[:at] + w[at + 1 :], w) for w in names if len(w) > 2 for at in range(len(w))}
    return names, sorted(forms, key=lambda pair: (pair[1], pair[0]))


def test_p2_words_of_one_statement_and_of_many(dsn: str) -> None:
    """The same words, names and typos whether guests come together or alone, and none remains."""
    with psycopg.connect(dsn) as connection:
        for groups in ([[ANN, ODD]], [[ANN], [ODD]], [[ODD, ANN, ANN], []]):
            refs = [ref for group in groups for ref in insert(connection, group)]
            results = [set(words_of(connection, ref)) for ref in refs]
            assert all(words in WORDS.values() for words in results), results
            assert vocabulary(connection) == expected(WORDS["ann"] | WORDS["odd"])
            providers = "SELECT provider FROM ws_live.identifier_providers ORDER BY 1"
            assert connection.execute(providers).fetchall() == [("CRM",), ("till",)]
            counted = "SELECT sum(guests) FROM ws_live.guest_counts"
            assert connection.execute(counted).fetchall() == [(len(refs),)]
            connection.execute("DELETE FROM ws_live.guests")
            assert vocabulary(connection) == ([], [])
            assert connection.execute("SELECT * FROM ws_live.guest_words").fetchall() == []
            assert connection.execute(counted).fetchall() == [(0,)]


def test_p2_an_update_writes_only_words_that_differ(dsn: str) -> None:
    """Of a word that stays, the row stays; of one that no guest has any more, the typos go."""
    row_of = "SELECT ctid FROM ws_live.guest_words WHERE word = 'ann' AND guest_ref = %s"
    with psycopg.connect(dsn) as connection:
        (ref,) = insert(connection, [ANN])
        before = connection.execute(row_of, [ref]).fetchall()
        body = json.dumps({**ANN, "last_name": "Daly"})
        connection.execute("UPDATE ws_live.guests SET body = %s WHERE ref = %s", [body, ref])
        assert words_of(connection, ref) == ["#61234567", "ann", "daly"]
        assert connection.execute(row_of, [ref]).fetchall() == before
        assert vocabulary(connection) == expected({"ann", "daly"})


def test_p2_no_trigger_runs_for_each_inserted_guest(dsn: str) -> None:
    """A thousand guests are indexed by as many statements as one: one command id."""
    rows_each = (
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'ws_live.guests'::regclass "
        "AND NOT tgisinternal AND tgtype & 1 = 1 AND tgtype & 4 = 4"
    )
    commands = "SELECT count(*), count(DISTINCT cmin::text) FROM ws_live."
    with psycopg.connect(dsn) as connection:
        assert connection.execute(rows_each).fetchall() == []
        insert(connection, [{**ODD, "last_name": f"Name{uuid4().hex[:20]}"} for _ in range(1000)])
        for table, rows in {"guest_words": 5000, "name_words": 1003, "name_typos": None}.items():
            row = connection.execute(commands + table).fetchone()
            assert row == (rows or row[0], 1), table  # type: ignore[index]


def test_p2_no_provider_is_added_once_there_are_200(dsn: str) -> None:
    """Else one statement would compare each guest's providers with those of all guests before."""
    count_statements = """
        CREATE FUNCTION pg_temp.count_statement() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE NOTICE 'statement'; RETURN NULL; END $$;
        CREATE TRIGGER counted BEFORE INSERT ON ws_live.identifier_providers
        FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.count_statement()
    """
    statements: list[object] = []
    with psycopg.connect(dsn) as connection:
        connection.execute(count_statements)
        connection.add_notice_handler(statements.append)
        identifiers = [[{"provider": f"P{number}", "id": "1"}] for number in range(300)]
        insert(connection, [{"identifiers": each} for each in identifiers])
        stored = connection.execute("SELECT count(*) FROM ws_live.identifier_providers")
        assert stored.fetchall() == [(200,)]
    assert len(statements) == 200
