"""Every comparator of segmentation-and-export.md 1.2 and 9, by both interpreters, by hand."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import duckdb
import pytest

from innkeeper.errors import Invalid
from innkeeper.lake.segment_sql import members
from innkeeper.lake.tables import BY_NAME
from innkeeper.rules.segment_matching import GuestRows, matches
from innkeeper.rules.segment_reading import read
from innkeeper.rules.segments import resolved

NOW = datetime(2026, 10, 15, 23, tzinfo=UTC)
"""The contract's own example: on UTC 15 Oct 23:00, past 3 days = 13-15 Oct."""
TABLES = ("guests", "extensions", "events", "orders")


def ref_of(name: str) -> str:
    """The ref of a guest or row with a name."""
    return str(uuid5(NAMESPACE_OID, name))


class GuestTables:
    """Guests in memory, and the same in tables of DuckDB."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guests: list[GuestRows] = []
        self._names: dict[str, str] = {}
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        for name in TABLES:
            columns = [f"{each.name} {each.type}" for each in BY_NAME[name].columns]
            columns += ["guest_ref UUID"] if name == "guests" else []
            self._connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")

    def add(
        self, name: str, tables: dict[str, list[dict[str, Any]]] | None = None, **row: Any
    ) -> None:
        ref = ref_of(name)
        self._names[ref] = name
        row = {"guest_ref": ref, "meta_ref": ref, "type": "VISITOR", **row}
        rows = {
            table: [{"guest_ref": ref, **each} for each in options]
            for table, options in (tables or {}).items()
        }
        self._guests.append(GuestRows(row, rows, {}))
        for table, options in {"guests": [row], **rows}.items():
            for each in options:
                path = self._folder / "row.json"
                path.write_text(json.dumps(each, default=str))
                shape = {
                    column: kind
                    for column, kind, *_ in self._connection.execute(f"DESCRIBE {table}").fetchall()
                }
                self._connection.execute(
                    f"INSERT INTO {table} SELECT * FROM read_json('{path}', columns = {shape})"
                )

    def find(self, *groups: dict[str, Any], now: datetime = NOW) -> set[str]:
        """Names of those in a segment: both interpreters say the same."""
        definition = resolved(read({"filterGroups": list(groups)}), now)
        rows = self._connection.execute(members(definition).sql(dialect="duckdb")).fetchall()
        by_sql = {str(ref) for (ref,) in rows}
        in_memory = {
            guest.row["guest_ref"] for guest in self._guests if matches(definition, guest).member
        }
        assert by_sql == in_memory
        return {self._names[ref] for ref in by_sql}


@pytest.fixture
def tables(tmp_path: Path) -> GuestTables:
    return GuestTables(tmp_path)


def guest(field: str, comparator: str, *values: Any, **more: Any) -> dict[str, Any]:
    rule = {"field": field, "comparator": comparator, "values": list(values), **more}
    return {"entity": "guest", "rules": [rule]}


def test_refs_are_compared_as_text(tables: GuestTables) -> None:
    """segmentation-and-export.md 1.2: a ref is a field of type string, whatever its storage."""
    for name in ("one", "other"):
        tables.add(name)
    ref = ref_of("one")
    assert tables.find(guest("ref", "is equal to", ref)) == {"one"}
    assert tables.find(guest("ref", "is equal to", ref.upper())) == set()
    assert tables.find(guest("ref", "is not equal to", ref)) == {"other"}
    assert tables.find(guest("ref", "includes any of", ref, "no ref")) == {"one"}
    assert tables.find(guest("ref", "starts with", ref[:6])) == {"one"}
    assert tables.find(guest("ref", "contains", ref[20:])) == {"one"}
    assert tables.find(guest("ref", "is null")) == set()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


DAYS = [
    # First and last day, of whole UTC days.
    ("is in the past", [3, "days"], "2026-10-13", "2026-10-15"),
    ("is in the past", [1, "days"], "2026-10-15", "2026-10-15"),
    ("is in the past", [1, "weeks"], "2026-10-09", "2026-10-15"),
    ("is in the past", [1, "months"], "2026-09-16", "2026-10-15"),
    ("is in the past", [1, "years"], "2025-10-16", "2026-10-15"),
    ("is in the next", [3, "days"], "2026-10-15", "2026-10-17"),
    ("is in the next", [2, "weeks"], "2026-10-15", "2026-10-28"),
    ("is now plus", [2, "days"], "2026-10-17", "2026-10-17"),
    ("is now minus", [2, "weeks"], "2026-10-01", "2026-10-01"),
    ("is on the day", ["2026-10-10"], "2026-10-10", "2026-10-10"),
    # The day of an instant is its day in UTC: there it is the 11th already.
    ("is on the day", ["2026-10-10T23:30:00-02:00"], "2026-10-11", "2026-10-11"),
    ("is between", ["2026-10-10", "2026-10-12"], "2026-10-10", "2026-10-12"),
]


@pytest.mark.parametrize(("comparator", "values", "first", "last"), DAYS)
def test_days_begin_and_end_at_midnight_utc(
    tables: GuestTables, comparator: str, values: list[Any], first: str, last: str
) -> None:
    """1.2: whole days, all in UTC; the negative is the complement, null included."""
    start = at(f"{first}T00:00:00+00:00")
    end = at(f"{last}T00:00:00+00:00") + timedelta(days=1)
    tick = timedelta(microseconds=1)
    event = {"too early": start - tick, "first": start, "last": end - tick, "too late": end}
    for name, moment in event.items():
        tables.add(name, core_last_seen_at=moment)
    tables.add("never", core_last_seen_at=None)
    assert tables.find(guest("lastSeen", comparator, *values)) == {"first", "last"}
    if comparator in ("is in the past", "is in the next", "is on the day", "is between"):
        negative = comparator.replace("is ", "is not ", 1)
        result = tables.find(guest("lastSeen", negative, *values))
        assert result == {"too early", "too late", "never"}


def test_before_and_after_leave_out_the_day_itself(tables: GuestTables) -> None:
    """9: before, after."""
    tables.add("9th", core_last_seen_at=at("2026-10-09T23:59:59.999999+00:00"))
    # In Dublin it is the 10th already, in UTC it is not.
    tables.add("Dublin", core_last_seen_at=at("2026-10-10T00:30:00+01:00"))
    tables.add("10th", core_last_seen_at=at("2026-10-10T00:00:00+00:00"))
    tables.add("10th, late", core_last_seen_at=at("2026-10-10T23:59:59.999999+00:00"))
    tables.add("11th", core_last_seen_at=at("2026-10-11T00:00:00+00:00"))
    assert tables.find(guest("lastSeen", "is before", "2026-10-10")) == {"9th", "Dublin"}
    assert tables.find(guest("lastSeen", "is after", "2026-10-10")) == {"11th"}


def test_a_shorter_month_ends_sooner(tables: GuestTables) -> None:
    """One month after 31 January is 28 February; one before 31 March too; 29 in a leap year."""
    for day in ("2026-02-27", "2026-02-28", "2026-03-01", "2028-02-29"):
        tables.add(day, core_last_seen_at=at(f"{day}T12:00:00+00:00"))
    one = [1, "months"]
    january, march = at("2026-01-31T12:00:00+00:00"), at("2026-03-31T12:00:00+00:00")
    assert tables.find(guest("lastSeen", "is now plus", *one), now=january) == {"2026-02-28"}
    assert tables.find(guest("lastSeen", "is now minus", *one), now=march) == {"2026-02-28"}
    leap = at("2028-01-31T12:00:00+00:00")
    assert tables.find(guest("lastSeen", "is now plus", *one), now=leap) == {"2028-02-29"}


def test_now_is_a_day_in_utc_in_any_time_zone(tables: GuestTables) -> None:
    """1.2: never the tenant's time zone: at 01:00 in Paris it is still yesterday."""
    tables.add("14th", core_last_seen_at=at("2026-10-14T12:00:00+00:00"))
    tables.add("15th", core_last_seen_at=at("2026-10-15T12:00:00+00:00"))
    paris = at("2026-10-15T01:00:00+02:00")
    assert tables.find(guest("lastSeen", "is in the past", 1, "days"), now=paris) == {"14th"}


TEXTS = [
    ("is equal to", ["Cork"], {"Cork"}),
    ("is not equal to", ["Cork"], {"cork", "New Cork", "Corkscrew", "none"}),
    ("includes any of", ["Cork", "New Cork"], {"Cork", "New Cork"}),
    ("does not include any of", ["Cork", "New Cork"], {"cork", "Corkscrew", "none"}),
    ("contains", ["Cork"], {"Cork", "New Cork", "Corkscrew"}),
    ("does not contain", ["Cork"], {"cork", "none"}),
    ("starts with", ["Cork"], {"Cork", "Corkscrew"}),
    ("does not start with", ["Cork"], {"cork", "New Cork", "none"}),
    ("ends with", ["Cork"], {"Cork", "New Cork"}),
    ("does not end with", ["Cork"], {"cork", "Corkscrew", "none"}),
    ("is null", [], {"none"}),
    ("is not null", [], {"Cork", "cork", "New Cork", "Corkscrew"}),
]


@pytest.mark.parametrize(("comparator", "values", "expected"), TEXTS)
def test_comparators_of_text(
    tables: GuestTables, comparator: str, values: list[str], expected: set[str]
) -> None:
    """1.2: the twelve."""
    for city in ("Cork", "cork", "New Cork", "Corkscrew"):
        tables.add(city, core_city=city)
    tables.add("none", core_city=None)
    assert tables.find(guest("city", comparator, *values)) == expected


NUMBERS = [
    ("is equal to", [5], {"5"}),
    ("is not equal to", [5], {"4.5", "6", "text", "none"}),
    ("is less than", [5], {"4.5"}),
    ("is less than or equal to", [5], {"4.5", "5"}),
    ("is greater than", [5], {"6"}),
    ("is greater than or equal to", ["5"], {"5", "6"}),
    ("is between", [4.5, 5], {"4.5", "5"}),
    ("is null", [], {"none"}),
    ("is not null", [], {"4.5", "5", "6", "text"}),
]


def pair(key: str, value: Any) -> dict[str, list[dict[str, Any]]]:
    kind = {bool: "boolean", str: "string"}.get(type(value), "number")
    row = {"name": "loyalty", "key": key, "value": str(value), "value_type": kind}
    row["number"] = value if kind == "number" else None
    row["truth"] = value if kind == "boolean" else None
    return {"extensions": [row]}


@pytest.mark.parametrize(("comparator", "values", "expected"), NUMBERS)
def test_comparators_of_numbers(
    tables: GuestTables, comparator: str, values: list[Any], expected: set[str]
) -> None:
    """9: eq, ne, lt, le, gt, ge, between, null tests; text that looks like 5 is none."""
    for value in (4.5, 5, 6):
        tables.add(str(value), pair("points", value))
    tables.add("text", pair("points", "5"))
    tables.add("none")
    place = {"location": "loyalty", "comparatorDataType": "number"}
    assert tables.find(guest("points", comparator, *values, **place)) == expected


def test_comparators_of_truth(tables: GuestTables) -> None:
    """9: is true, is false."""
    tables.add("yes", pair("member", True))
    tables.add("no", pair("member", False))
    tables.add("text", pair("member", "true"))
    tables.add("none")
    place = {"location": "loyalty", "comparatorDataType": "boolean"}
    assert tables.find(guest("member", "is true", **place)) == {"yes"}
    assert tables.find(guest("member", "is false", **place)) == {"no"}
    assert tables.find(guest("member", "is null", **place)) == {"none"}


def test_a_step_is_within_days_to_the_microsecond(tables: GuestTables) -> None:
    """Issue 6: "viewed, then added, then no purchase within 7 days": strictly later, and a time
    that is exactly 7 days is within."""
    start, week = at("2026-10-01T12:00:00+00:00"), timedelta(days=7)
    tick = timedelta(microseconds=1)
    bought = {"at once": timedelta(0), "in time": week, "late": week + tick, "never": None}
    for name, after in bought.items():
        events = [
            {"meta_ref": ref_of(f"{name}-1"), "type": "VIEW", "meta_created_at": start - week},
            {"meta_ref": ref_of(f"{name}-2"), "type": "ADD", "meta_created_at": start},
        ]
        orders = (
            [] if after is None else [{"meta_ref": ref_of(name), "core_ordered_at": start + after}]
        )
        tables.add(name, {"events": events, "orders": orders})
    tables.add(
        "only added",
        {"events": [{"meta_ref": ref_of("x"), "type": "ADD", "meta_created_at": start}]},
    )
    steps = [{"entity": "event", "type": "VIEW"}, {"entity": "event", "type": "ADD"}]
    order = {"entity": "order", "withinDays": 7}
    then_none = {"sequence": [*steps, {**order, "absent": True}]}
    assert tables.find(then_none) == {"at once", "late", "never"}
    assert tables.find({"sequence": [*steps, order]}) == {"in time"}
    assert tables.find({**then_none, "filterGroupType": "EXCLUDE"}) == {"in time", "only added"}
    backwards = {"sequence": [steps[1], steps[0]]}
    assert tables.find(backwards) == set()


def test_at_least_so_many_rows(tables: GuestTables) -> None:
    """9: count >= n; a negative count holds for who has none."""
    for number in range(4):
        rows = [
            {"meta_ref": ref_of(f"{number}-{index}"), "type": "VIEW", "meta_created_at": NOW}
            for index in range(number)
        ]
        tables.add(str(number), {"events": rows})

    def counted(comparator: str, *values: int) -> set[str]:
        count = {"comparator": comparator, "values": list(values)}
        return tables.find({"entity": "event", "type": "VIEW", "count": count})

    assert counted("is greater than or equal to", 2) == {"2", "3"}
    assert counted("is less than", 2) == {"0", "1"}
    assert counted("is equal to", 0) == {"0"}
    assert counted("is not equal to", 1) == {"0", "2", "3"}
    assert counted("is between", 1, 2) == {"1", "2"}


def test_a_type_of_value_has_its_own_comparators() -> None:
    for field, comparator in (("city", "is less than"), ("lastSeen", "contains")):
        with pytest.raises(Invalid, match="cannot compare"):
            read({"filterGroups": [guest(field, comparator, "2026-01-01")]})
