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
    ["a.csv", "b.csv.gz", "c.parquet", "d.ndjson", "e.csv.zst", "guarded.csv"]
    if LONG
    else ["a.csv", "c.parquet", "guarded.csv"]
)
MORE_FILES = FILES if LONG else FILES[:2]
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
    {}, optional={"text": texts, "number": numbers, "flag": st.booleans(), "mixed": values}
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


def line(number: int, **fields: Any) -> dict[str, Any]:
    return {
        **{"type": "OTHER", "name": "Thing", "productId": f"P-{number}", "description": "d"},
        **{"price": 5, "currencyCode": "EUR", "status": "CONFIRMED", "quantity": 2},
        **{"vendor": "v", "referenceId": f"I-{number}", **fields},
    }


def pairs_of(pairs: dict[str, Any]) -> dict[str, Any]:
    return {"extensions": [{"name": "ext", "key": "default", **pairs}]} if pairs else {}


lines = st.builds(
    lambda fields, pairs: {**fields, **pairs_of(pairs)},
    st.fixed_dictionaries(
        {"price": numbers}, optional={"name": texts.filter(bool), "language": texts.filter(bool)}
    ),
    pairs,
)
purchases = st.fixed_dictionaries(
    {"pairs": pairs, "lines": st.lists(lines, min_size=1, max_size=3)},
    optional={
        "cardType": texts.filter(bool),
        "pointOfSale": texts.filter(bool),
        "price": numbers,
        "city": texts.filter(bool),
        "uses": st.booleans(),
        "second": st.booleans(),
    },
)
EVERY_PURCHASE = [
    {
        "pairs": {"text": "00042", "number": 5, "mixed": 5},
        "lines": [
            {"price": 7.25, "name": "=1+1", **pairs_of({"text": "5", "flag": True})},
            {"price": 5, "language": "line\r\nbreak", **pairs_of({"mixed": "true"})},
        ],
        **{"cardType": "'quoted", "paymentType": "Klarna", "status": "SHIPPED"},
        "price": 12.25,
    },
    {
        "pairs": {"text": "", "number": 7.5, "flag": True, "mixed": "5"},
        "lines": [{"price": 0, "type": "FLIGHT", "extra": {"seats": [1, "A"]}}],
        "pointOfSale": "4.47712E+11",
        "uses": True,
        "second": True,
    },
    {"pairs": {"mixed": True}, "lines": [{"price": 2**53}], "city": "NULL", "uses": True},
]


def purchase(number: int, position: int, drawn: dict[str, Any]) -> dict[str, Any]:
    drawn = dict(drawn)
    more, uses = pairs_of(drawn.pop("pairs")), drawn.pop("uses", False)
    items = [line(at, **fields) for at, fields in enumerate(drawn.pop("lines"))]
    contact = {"identifiers": [{"provider": "email", "id": f"{number}-{position}@example.com"}]}
    if "city" in drawn:
        contact["city"] = drawn.pop("city")
    second = {"identifiers": [{"provider": "CRM", "id": f"0{number}-{position}"}], "title": "Dr"}
    contacts = (
        [second, {"lastName": "Lee", "firstName": "Al"}] if drawn.pop("second", False) else []
    )
    consumer = {"firstName": "Bob", "lastName": "Lee", "orderItems": [{"referenceId": "I-0"}]}
    return {
        **{"referenceId": f"R-{number}-{position}", "orderedAt": "2026-01-02T03:04:05.678Z"},
        **{"currencyCode": "EUR", "status": "PURCHASED", "channel": "WEB", "price": 10},
        **{"paymentType": "Cash", "pointOfSale": "shop", "contact": contact},
        **({"contacts": contacts} if contacts else {}),
        **({"consumers": [consumer]} if uses else {}),
        **{"orderItems": items, **more, **drawn},
    }


@pytest.mark.long
@settings(
    max_examples=50,
    deadline=None,
    phases=PHASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(drawn=EVERY_PURCHASE)
@given(drawn=st.lists(purchases, min_size=2, max_size=6))
def test_i2_export_and_import_of_orders_change_nothing(
    command: Command, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    """With items, consumers and pairs of every type, into an empty workspace and their own."""
    number = next(_numbers(tmp_path))
    folder = tmp_path / str(number)
    folder.mkdir()
    written = folder / "written.ndjson"
    values = [purchase(number, position, one) for position, one in enumerate(drawn)]
    written.write_text("".join(json.dumps(one) + "\n" for one in values), encoding="utf-8")
    command("import", "orders", written)
    before = exported_orders(command, folder)
    for name in MORE_FILES:
        file = folder / name
        command("export", "orders", file, *(["--guarded"] if name == "guarded.csv" else []))
        command("import", "orders", file)
        assert exported_orders(command, folder) == before, name
        command("import", "orders", file, "--workspace", "live_sandbox")
        assert exported_orders(command, folder, "live_sandbox") == before, name


def exported_orders(command: Command, folder: Path, workspace: str = "live") -> dict[str, Any]:
    """referenceId -> what an export has of the order, without refs and times of this workspace."""
    file = folder / "orders.ndjson"
    command("export", "orders", file, "--workspace", workspace)
    values = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {value["referenceId"]: _without_own(value) for value in values}


def _without_own(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_own(one) for one in value]
    if not isinstance(value, dict):
        return value
    own = ("ref", "createdAt", "modifiedAt")
    return {name: _without_own(member) for name, member in value.items() if name not in own}


BROWSER = "7c1d2b3a-0000-4000-8000-000000000001"
EVENTS = [
    {"type": "VIEW", "page": "=1+1", "custom": {"text": "00042", "number": 5, "flag": True}},
    {"type": "NOTED", "product_name": "true", "ext": {"text": "5", "mixed": 7.5, "flag": False}},
    {"type": "MADE_UP", "page": "line\r\nbreak", "ext": {"text": "", "big": 2**53}, "size": 1.25},
]


@pytest.mark.long
def test_i2_export_and_import_of_events_change_nothing(command: Command, tmp_path: Path) -> None:
    """With attributes of every type, into an empty workspace and their own."""
    common = {"browser_id": BROWSER, "channel": "WEB", "pos": "default", "currency": "EUR"}
    written = tmp_path / "written.ndjson"
    values = [
        {**common, "requested_at": f"2026-01-02T03:0{at}:05.678Z", "language": "EN", **event}
        for at, event in enumerate(EVENTS)
    ]
    written.write_text("".join(json.dumps(one) + "\n" for one in values), encoding="utf-8")
    command("import", "events", written)
    before = exported_events(command, tmp_path)
    assert len(before) == len(EVENTS)
    for name in MORE_FILES:
        file = tmp_path / name
        command("export", "events", file, *(["--guarded"] if name == "guarded.csv" else []))
        command("import", "events", file)
        assert exported_events(command, tmp_path) == before, name
    command("import", "events", tmp_path / MORE_FILES[0], "--workspace", "live_sandbox")
    assert exported_events(command, tmp_path, "live_sandbox") == before


def exported_events(command: Command, folder: Path, workspace: str = "live") -> list[Any]:
    """What an export has of the events, whose refs are the same everywhere, by time."""
    file = folder / "events.ndjson"
    command("export", "events", file, "--workspace", workspace)
    values = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return sorted(values, key=lambda value: value["requested_at"])
