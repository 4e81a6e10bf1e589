"""I2, F6: what is exported can be imported in every format, and keeps its types."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from profiles import LONG
from typer.testing import CliRunner

from innkeeper.cli.exports import export
from innkeeper.cli.imports import import_

FILES = (
    ["a.csv", "b.csv.gz", "c.parquet", "d.ndjson", "guarded.csv"]
    if LONG
    else ["a.csv", "c.parquet", "guarded.csv"]
)
PHASES = [Phase.explicit, Phase.generate] if LONG else [Phase.explicit]
EVERY_TYPE = [
    {
        "firstName": "=1+1",
        "city": "line\r\nbreak",
        "pairs": {"text": "00042", "number": 5, "mixed": 5},
    },
    {"firstName": "'quoted", "pairs": {"text": "", "number": 7.5, "flag": True, "mixed": "5"}},
    {"city": " a,b;c\t| ", "pairs": {"text": "4.47712E+11", "flag": False, "mixed": True}},
    {"dateOfBirth": "1980-03-04", "country": "us", "pairs": {"text": "NULL", "number": 2**53}},
    {"phoneNumbers": ["(01) 234"], "pairs": {"text": '{"a": 1}', "mixed": ""}},
]
Command = Callable[..., None]

texts = st.one_of(
    st.sampled_from(
        ["", "00042", "5", "true", "=1+1", "'quoted", "1.234,56", "4.47712E+11", "NULL", "N/A", "-"]
    ),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
    st.sampled_from(['a"b', "line\nbreak", "a,b;c\t|", " spaces ", "a\r\nb", "[1]", '{"a": 1}']),
)
numbers = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(-1e9, 1e9, allow_nan=False).map(lambda number: round(number, 3)),
)
values = st.one_of(texts, numbers, st.booleans())
pairs = st.fixed_dictionaries(
    {},
    optional={
        "text": texts,
        "number": numbers,
        "flag": st.booleans(),
        "mixed": values,
    },
)
people = st.fixed_dictionaries(
    {"pairs": pairs},
    optional={
        "firstName": texts.filter(bool),
        "city": texts.filter(bool),
        "dateOfBirth": st.sampled_from(["1980-03-04", "1999-12-31"]),
        "firstSeen": st.sampled_from(["2024-01-02T03:04:05.000Z", "2024-12-31T23:59:59.999Z"]),
        "country": st.sampled_from(["DE", "us"]),
        "phoneNumbers": st.lists(st.sampled_from(["+353861234567", "(01) 234"]), min_size=1),
        "gender": st.sampled_from(["male", "female"]),
    },
)


@pytest.fixture
def command(dsn: str) -> Command:
    """Run `innkeeper import` or `innkeeper export` on the test's database."""
    app = typer.Typer()
    app.command("import")(import_)
    app.command("export")(export)

    def run(*words: object) -> None:
        done = CliRunner().invoke(app, [*map(str, words), "--database", dsn])
        assert done.exit_code == 0, done.output

    return run


@settings(
    max_examples=100,
    deadline=None,
    phases=PHASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(guests=EVERY_TYPE)
@given(guests=st.lists(people, min_size=3, max_size=12))
def test_i2_export_and_import_change_nothing(
    command: Command, tmp_path: Path, guests: list[dict[str, Any]]
) -> None:
    """Of guests with pairs of every type, into an empty workspace; generated ones in the long
    profile."""
    number = next(_numbers(tmp_path))
    folder = tmp_path / str(number)
    folder.mkdir()
    written = folder / "written.ndjson"
    with written.open("w", encoding="utf-8") as file:
        for position, guest in enumerate(guests):
            person = {name: value for name, value in guest.items() if name != "pairs"}
            person["identifiers"] = [
                {"provider": "email", "id": f"{number}-{position}@example.com"}
            ]
            if guest["pairs"]:
                person["extensions"] = [{"name": "ext", "key": "default", **guest["pairs"]}]
            file.write(json.dumps(person) + "\n")
    command("import", "guests", written)
    before = exported(command, folder)
    for name in FILES:
        file = folder / name
        command("export", "guests", file, *(["--guarded"] if name == "guarded.csv" else []))
        command("import", "guests", file, "--workspace", "live_sandbox")
        assert exported(command, folder, "live_sandbox") == before, name


def _numbers(folder: Path) -> Any:
    yield len(list(folder.iterdir()))


def exported(command: Command, folder: Path, workspace: str = "live") -> dict[str, Any]:
    """Identifier -> what an export has of the guest, without what is another's everywhere."""
    file = folder / "exported.ndjson"
    command("export", "guests", file, "--workspace", workspace)
    values = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    own = ("ref", "createdAt", "modifiedAt", "lastSeen")
    return {
        value["identifiers"][0]["id"]: {
            name: member for name, member in value.items() if name not in own
        }
        for value in values
    }
