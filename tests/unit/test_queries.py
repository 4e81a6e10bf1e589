"""The loader of named queries: names, descriptions, markers."""

import re
from pathlib import Path

import pytest
from psycopg import _queries

import innkeeper
from innkeeper.actions.events import append
from innkeeper.lake.tables import TABLES
from innkeeper.store.queries import Queries, catalogue, parse, schema_of

FRAGMENTS = {"list", "count", "count_all", "rows", "columns", "locked_columns", "locked_rows"} | {
    *("used_items", "table")
}
"""Queries that others contain, or that `read_page` runs."""


def test_a_file_becomes_its_queries_by_name() -> None:
    first = "-- a remark\n\n-- x.one\n-- First.\nSELECT 1\n\n"
    text = first + "-- x.two\n-- Second,\n-- on two lines.\nSELECT '{}',\n    2\n"
    assert parse("x", text) == {"x.one": "SELECT 1", "x.two": "SELECT '{}',\n2"}


def test_each_line_of_sort_keys_becomes_two_fragments() -> None:
    text = "-- x.sort_keys\n-- Keys.\nage: born_at\nname: (body ->> 'name') COLLATE \"C\"\n"
    assert parse("x", text) == {
        "x.sort_age_asc": "born_at ASC,",
        "x.sort_age_desc": "born_at DESC,",
        "x.sort_name_asc": "(body ->> 'name') COLLATE \"C\" ASC,",
        "x.sort_name_desc": "(body ->> 'name') COLLATE \"C\" DESC,",
    }


@pytest.mark.parametrize(
    "text",
    [
        "-- y.one\n-- Of another file.\nSELECT 1\n",
        "-- x.one\nSELECT 1\n",
        "-- x.one\n-- Nothing follows.\n",
        "-- x.one\n-- Once.\nSELECT 1\n-- x.one\n-- Twice.\nSELECT 2\n",
    ],
)
def test_a_query_without_name_of_its_own_description_or_sql_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="x.sql"):
        parse("x", text)


@pytest.mark.parametrize("name", ["", "Live", "1st", "a-b", 'a"b', "a" * 42, "live\n", "ws live"])
def test_only_plain_names_reach_the_sql(name: str) -> None:
    with pytest.raises(ValueError, match="not a workspace name"):
        schema_of(name)


def test_every_query_of_ours_is_ready_for_a_workspace() -> None:
    queries = Queries("ws_live")
    for name in catalogue():
        assert not re.search(r"\{[a-z_]+\}", queries.text(name))


def test_the_schema_and_the_named_parts_are_written_in() -> None:
    queries = Queries("ws_live")
    text = queries.text("guests.count", filters=["guests.by_guest_type"])
    assert "ws_live.guests" in text
    assert text.endswith("AND guest_type = %(guest_type)s")
    assert "guest_type" not in queries.text("guests.count")
    assert queries.text("segments.columns") in queries.text("segments.fetch")


def test_what_does_not_exist_is_no_part_of_a_query() -> None:
    queries = Queries("ws_live")
    with pytest.raises(KeyError):
        queries.text("guests.count", filters=["1 = 1; DROP TABLE guests"])
    with pytest.raises(KeyError):
        queries.text("guests.count", whatever=["guests.by_guest_type"])


def test_control_work_cannot_touch_a_workspace() -> None:
    with pytest.raises(KeyError):
        Queries(None).text("guests.count")


def test_the_lines_of_a_guest_are_those_of_the_tables_of_the_lake() -> None:
    prefix = "lake.lines_of_"
    lines = {name.removeprefix(prefix) for name in catalogue() if name.startswith(prefix)}
    assert lines == {table.name for table in TABLES}


@pytest.mark.parametrize("parts", [append.CONTINUE, append.CONTINUE_SEVERAL, append.START])
def test_statements_of_events_are_ones_that_psycopg_remembers(parts: dict[str, list[str]]) -> None:
    queries = Queries(f"ws_{'w' * 41}")
    for text in (queries.text("events.begin"), queries.text("events.append", **parts)):
        assert len(text) <= _queries.MAX_CACHED_STATEMENT_LENGTH


def test_every_query_has_a_caller() -> None:
    """By its whole name, by an f-string that begins with its file or ends with its name, or as the
    marker of another query."""
    package = Path(innkeeper.__file__).parent
    code = "\n".join(file.read_text(encoding="utf-8") for file in package.rglob("*.py"))
    named = {*re.findall(r'"([a-z_]+\.[a-z_0-9]+)"', code)}
    named |= {*re.findall(r"\{([a-z_]+\.[a-z_0-9]+)\}", "\n".join(catalogue().values()))}
    composed = [
        re.compile("[a-z_0-9]+".join(map(re.escape, re.split(r"\{.*?\}", text))))
        for text in re.findall(r'f"([a-z_]+\.[a-z_]*\{[^"]*|\{[a-z_.]+\}\.[a-z_]+)"', code)
    ]
    unused = [
        name
        for name in catalogue()
        if name not in named
        and not any(pattern.fullmatch(name) for pattern in composed)
        and name.partition(".")[2] not in FRAGMENTS
    ]
    assert unused == []


def test_every_query_that_is_called_exists() -> None:
    package = Path(innkeeper.__file__).parent
    code = "\n".join(file.read_text(encoding="utf-8") for file in package.rglob("*.py"))
    called = set(re.findall(r'\.(?:one|row|all|run|\w+_batched)\(\s*"([a-z_]+\.[a-z_0-9]+)"', code))
    assert len(called) > 300
    assert called - catalogue().keys() == set()
