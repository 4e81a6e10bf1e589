"""Migrations: applied once, in order, whoever starts; refused when history was changed."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from profiles import LONG
from waiting import PATIENCE_SECONDS

from innkeeper.errors import OperatorError
from innkeeper.store import functions, migrate
from innkeeper.store.migrate import Migration
from innkeeper.store.queries import catalogue

COMMAND = Path(sys.executable).with_name("innkeeper")
PROCESSES = 8 if LONG else 4


def _migrate(dsn: str) -> None:
    asyncio.run(migrate.migrate(dsn))


def _label(migration: Migration) -> str:
    return f"{migration.number:04}_{migration.name}"


def _change(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)


@pytest.mark.long
def test_many_processes_may_start_at_once(empty_dsn: str) -> None:
    command = [COMMAND, "db", "migrate", "--json", "--database", empty_dsn]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    answers = [process.communicate(timeout=PATIENCE_SECONDS) for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, answers
    states = json.loads(answers[0][0])
    assert [state["scope"] for state in states] == ["control", "live", "live_sandbox"]
    assert all(state["applied"] and not state["pending"] for state in states)


def test_status_changes_nothing(empty_dsn: str) -> None:
    (state,) = asyncio.run(migrate.status(empty_dsn))
    assert state.scope == "control"
    assert (state.applied, state.pending[0]) == ([], "0001_baseline")
    with psycopg.connect(empty_dsn) as connection:
        rows = connection.execute("SELECT to_regnamespace('innkeeper')").fetchone()
    assert rows == (None,)


def test_what_is_applied_is_not_applied_again(dsn: str) -> None:
    _change(dsn, "INSERT INTO ws_live.points_of_sale (name) VALUES ('airport')")
    _migrate(dsn)
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT count(*) FROM ws_live.points_of_sale").fetchone()
    assert rows == (2,)


def test_a_changed_migration_is_refused(dsn: str) -> None:
    _change(dsn, "UPDATE innkeeper.migrations SET sha256 = '' WHERE scope = 'live' AND number = 1")
    with pytest.raises(OperatorError, match="0001_baseline of live was changed after"):
        _migrate(dsn)


def test_a_newer_database_is_refused(dsn: str) -> None:
    _change(dsn, "INSERT INTO innkeeper.migrations VALUES ('control', 9999, 'future', '')")
    for action in (migrate.migrate, migrate.status):
        with pytest.raises(OperatorError, match="newer Innkeeper .*9999_future.*upgrade"):
            asyncio.run(action(dsn))


def test_a_new_migration_reaches_every_workspace_or_stays_pending_where_it_fails(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = migrate.migrations("workspace")
    good = Migration(9001, "good", "CREATE TABLE {ws}.a (b int); CREATE TABLE {ws}.c (d int)", b"x")
    bad = Migration(9002, "bad", "CREATE TABLE {ws}.e (f int); SELECT 1 / 0", b"y")

    def patched(kind: str) -> tuple[Migration, ...]:
        return (*real, good, bad) if kind == "workspace" else known_control

    known_control = migrate.migrations("control")
    monkeypatch.setattr(migrate, "migrations", patched)
    with pytest.raises(OperatorError, match="division by zero"):
        _migrate(dsn)
    control, live, _ = asyncio.run(migrate.status(dsn))
    assert (control.pending, live.pending) == ([], ["9002_bad"])
    assert live.applied == [*map(_label, real), "9001_good", "functions"]
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT to_regclass('ws_live.c'), to_regclass('ws_live.e')")
        assert rows.fetchone() == ("ws_live.c", None)


def test_a_database_of_before_the_first_version_is_refused(dsn: str) -> None:
    _change(dsn, "UPDATE innkeeper.migrations SET name = 'workspaces' WHERE scope = 'control'")
    with pytest.raises(OperatorError, match=r"development version before 0\.1\.0.*export"):
        _migrate(dsn)


_PROGRAMS = """
SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'ws_live'::regnamespace UNION ALL
SELECT tgname, pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
WHERE relnamespace = 'ws_live'::regnamespace AND NOT tgisinternal ORDER BY 1, 2
"""


def _programs(dsn: str) -> list[tuple[str, str]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(_PROGRAMS).fetchall()


def test_queries_and_functions_name_only_what_there_is(dsn: str) -> None:
    """Tables and functions: a body in PL/pgSQL is not checked before it runs."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'ws_live'::regnamespace UNION "
            "SELECT proname FROM pg_proc WHERE pronamespace = 'ws_live'::regnamespace"
        ).fetchall()
    text = "\n".join([*catalogue().values(), functions.text()])
    assert {*re.findall(r"\{ws\}\.([a-z_]+)", text)} - {name for (name,) in rows} == set()


def test_functions_are_replaced_whole_when_their_text_changed(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Functions and triggers that the files no longer have are dropped, also those of before."""
    before = _programs(dsn)
    changed = """
    CREATE FUNCTION {ws}.find_nobody(a int) RETURNS int LANGUAGE sql AS 'SELECT a';
    CREATE FUNCTION {ws}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER refuse AFTER INSERT ON {ws}.traits EXECUTE FUNCTION {ws}.refuse();
    """
    with monkeypatch.context() as patch:
        patch.setattr(functions, "text", lambda: changed)
        live = asyncio.run(migrate.status(dsn))[1]
        assert (live.applied, live.pending) == (
            [*map(_label, migrate.migrations("workspace"))],
            ["functions"],
        )
        _migrate(dsn)
        assert [name for name, _ in _programs(dsn)] == ["find_nobody", "refuse", "refuse"]
        assert asyncio.run(migrate.status(dsn))[1].pending == []
    _migrate(dsn)
    assert _programs(dsn) == before


def test_functions_are_not_replaced_when_their_text_is_the_same(dsn: str) -> None:
    _change(dsn, "DROP FUNCTION ws_live.split_words CASCADE")
    before = _programs(dsn)
    _migrate(dsn)
    assert _programs(dsn) == before


def test_functions_that_fail_leave_those_of_before(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _programs(dsn)
    with monkeypatch.context() as patch:
        patch.setattr(functions, "text", lambda: "SELECT 1 / 0")
        with pytest.raises(OperatorError, match="division by zero"):
            _migrate(dsn)
    assert _programs(dsn) == before
    assert asyncio.run(migrate.status(dsn))[1].pending == []


RELEASED: dict[str, dict[str, str]] = {
    "control": {
        "0001_baseline": "c5e425b1f2431ee5f2856f16f9ab98cafd4a81761a675191371ed313735700b7"
    },
    "workspace": {
        "0001_baseline": "1ecc76838c926f94af6fc7d9cb4dfbdc1f32b8b8211ff3f124c13e7d20269af0"
    },
}
"""SHA-256 of each migration of a released version: it never changes. A release adds its own."""


@pytest.mark.parametrize("kind", RELEASED)
def test_released_migrations_are_never_edited(kind: str) -> None:
    params = {f"{one.number:04}_{one.name}": one.sha256.hex() for one in migrate.migrations(kind)}
    assert {name: params.get(name) for name in RELEASED[kind]} == RELEASED[kind]


def test_an_unreachable_server_is_one_sentence_without_its_password() -> None:
    with pytest.raises(OperatorError) as caught:
        _migrate("postgresql://ann:s3cret@127.0.0.1:1/cdp")
    assert "cannot be reached" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_old_server_is_refused(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "OLDEST_SERVER", 990000)
    with pytest.raises(OperatorError, match="needs 99 or newer"):
        _migrate(dsn)
