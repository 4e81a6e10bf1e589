"""One definition, two interpreters: SQL over tables and memory over one guest agree on everyone."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import LONG

from innkeeper.lake.segment_sql import members
from innkeeper.lake.tables import BY_NAME
from innkeeper.lake.trait_sql import trait_values
from innkeeper.resources.segments import COMPARATORS, ENTITIES
from innkeeper.rules.segment_matching import GuestRows, matches, rows_that_meet
from innkeeper.rules.segment_reading import read
from innkeeper.rules.segments import resolved
from innkeeper.rules.traits import Traits, computed

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
TRAITS = Traits()
COMPARED_TRAITS = (
    "orderCount",
    "lifetimeValue.EUR",
    "averageOrderValue.EUR",
    "lastOrderAt",
    "sessionCount",
)
TABLES = ("guests", "identifiers", "extensions", "events", "sessions", "orders", "order_items")
WORDS = ["", "a", "ab", "b'c", "Ünï", "50%"]
NUMBERS = [-1.5, 0, 1, 2.25, 100]
STATUSES = ["PURCHASED", "CANCELLED", "REFUNDED", "PENDING"]
SUBTYPES = {"event": "VIEW ADD SEARCH", "session": "WEB OFFLINE", "order_item": "ROOM SPA"}

texts = st.sampled_from(WORDS)
numbers = st.sampled_from(NUMBERS)
moments = st.integers(-6, 6).map(lambda hours: NOW + timedelta(hours=hours * 12))
values = st.one_of(texts, numbers, st.booleans())


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def free(draw: st.DrawFn, **owner: Any) -> dict[str, Any]:
    value = draw(values)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    kind = "boolean" if isinstance(value, bool) else "number" if is_number else "string"
    return {
        **owner,
        "name": draw(st.sampled_from(["ext", "loyalty"])),
        "key": draw(st.sampled_from(["tier", "points"])),
        "value": json.dumps(value) if kind != "string" else value,
        "number": value if is_number else None,
        "truth": value if kind == "boolean" else None,
        "value_type": kind,
    }


@st.composite
def people(draw: st.DrawFn) -> list[GuestRows]:
    """Some guests with rows in every table."""
    results = []
    for number in range(draw(st.integers(1, 4))):
        ref = str(UUID(int=number))

        def many(
            make: Any, most: int = 4, ref: str = ref, number: int = number
        ) -> list[dict[str, Any]]:
            return [
                {"guest_ref": ref, **make(str(UUID(fields=(index, 0, 0, 0, 0, number))))}
                for index in range(draw(st.integers(0, most)))
            ]

        row = {
            "guest_ref": ref,
            "meta_ref": ref,
            "type": draw(st.sampled_from(["CUSTOMER", "VISITOR", "RETIRED"])),
            "core_first_name": draw(maybe(texts)),
            "core_emails": draw(maybe(st.lists(texts, max_size=2))),
            "core_last_seen_at": draw(moments),
            "core_date_of_birth": draw(maybe(moments.map(lambda moment: moment.date()))),
        }
        tables = {
            "identifiers": many(
                lambda _: {"provider": draw(st.sampled_from(["CRM", "x"])), "id": draw(texts)}, 2
            ),
            "extensions": many(lambda _: draw(free()), 3),
            "events": many(
                lambda each: {
                    "meta_ref": each,
                    "type": draw(st.sampled_from(["VIEW", "ADD", "SEARCH"])),
                    "meta_created_at": draw(moments),
                    "core_channel": draw(maybe(texts)),
                    "custom": draw(
                        maybe(
                            st.fixed_dictionaries(
                                {}, optional={"a": values, "ext": st.just({"a": draw(values)})}
                            )
                        )
                    ),
                },
                5,
            ),
            "sessions": many(
                lambda each: {
                    "meta_ref": each,
                    "type": "WEB",
                    "core_started_at": draw(moments),
                    "core_duration": draw(maybe(numbers)),
                },
                2,
            ),
            "orders": many(
                lambda each: {
                    "meta_ref": each,
                    "core_ordered_at": draw(moments),
                    "core_status": draw(maybe(st.sampled_from(STATUSES))),
                    "core_price": draw(maybe(numbers)),
                    "core_currency_code": draw(st.sampled_from(["EUR", "USD"])),
                }
            ),
            "order_items": many(
                lambda each: {
                    "meta_ref": each,
                    "order_ref": each,
                    "type": "ROOM",
                    "core_ordered_at": draw(moments),
                    "core_quantity": draw(maybe(numbers)),
                    "core_status": draw(maybe(st.sampled_from([*STATUSES, "Refunded"]))),
                    "core_price": draw(maybe(numbers)),
                    "core_currency_code": draw(st.sampled_from(["EUR", "USD"])),
                },
                2,
            ),
        }
        rows = GuestRows(row, tables, {})
        traits = {
            name: computed(TRAITS.trait(name), rows_that_meet(TRAITS.trait(name).group, rows))
            for name in COMPARED_TRAITS
        }
        results.append(GuestRows(row, tables, traits))
    return results


@st.composite
def rules(draw: st.DrawFn, entity: str) -> dict[str, Any]:
    fields = {
        "guest": [
            ("core", "firstName", "string"),
            ("core", "emails", "string"),
            ("core", "lastSeen", "timestamp"),
            ("core", "dateOfBirth", "timestamp"),
            ("identifier", "CRM", "string"),
            *[("ext", "tier", kind) for kind in ("string", "number", "boolean")],
            ("loyalty", "points", "number"),
        ],
        "event": [
            ("core", "channel", "string"),
            ("core", "createdAt", "timestamp"),
            *[("custom", "a", kind) for kind in ("string", "number", "boolean")],
            ("ext", "a", "number"),
        ],
        "session": [("core", "duration", "number"), ("core", "startedAt", "timestamp")],
        "order": [
            ("core", "status", "string"),
            ("core", "price", "number"),
            ("core", "orderedAt", "timestamp"),
        ],
        "order_item": [("core", "quantity", "number")],
    }
    fields["guest"] += [("trait", name, TRAITS[name]) for name in COMPARED_TRAITS]
    location, field, kind = draw(st.sampled_from(fields[entity]))
    comparator = draw(st.sampled_from([one for one in COMPARATORS.values() if kind in one.types]))
    if comparator.test in ("past", "next", "plus", "minus"):
        given_values: list[Any] = [draw(st.integers(1, 4)), draw(st.sampled_from(["days", "week"]))]
    else:
        many = draw(st.integers(comparator.least, min(comparator.most, 3)))
        sort = {"string": texts, "number": numbers, "timestamp": moments.map(str), "boolean": texts}
        given_values = [draw(sort[kind]) for _ in range(many)]
        given_values = [
            str(value).replace(" ", "T") if kind == "timestamp" else value for value in given_values
        ]
    return {
        "location": location,
        "field": field,
        "comparator": comparator.name,
        "comparatorDataType": kind,
        "values": given_values,
    }


amounts = st.fixed_dictionaries(
    {
        "comparator": st.sampled_from(
            ["is equal to", "is not equal to", "is less than", "is greater than or equal to"]
        ),
        "values": st.sampled_from([0, 1, 2, 3, 2.25]).map(lambda number: [number]),
    }
)


@st.composite
def parts(draw: st.DrawFn, entity: str, most: int = 3) -> dict[str, Any]:
    kinds = {"guest": ["customer", "VISITOR", "retired"], "order": []}.get(
        entity, SUBTYPES.get(entity, "").split()
    )
    return {
        "entity": entity,
        "type": draw(st.lists(st.sampled_from(kinds), max_size=2)) if kinds else None,
        "ruleOperator": draw(st.sampled_from(["AND", "OR"])),
        "rules": draw(st.lists(rules(entity), max_size=most)),
    }


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["INCLUDE", "EXCLUDE"]))
    if draw(st.integers(0, 3)) == 0:
        steps = [
            draw(parts(draw(st.sampled_from(["event", "order"])), 1))
            for _ in range(draw(st.integers(2, 3)))
        ]
        for step in steps[1:]:
            step["withinDays"] = draw(st.sampled_from([None, 0.5, 1, 2]))
        steps[-1]["absent"] = draw(st.booleans())
        return {"filterGroupType": kind, "sequence": steps}
    entity = draw(st.sampled_from(list(ENTITIES)))
    group = {**draw(parts(entity)), "filterGroupType": kind}
    if entity != "guest":
        group["count"] = draw(maybe(amounts))
    if entity in ("order", "order_item") and draw(st.booleans()):
        group["sum"] = {**draw(amounts), "field": "price", "currency": "EUR"}
    return group


definitions = st.fixed_dictionaries(
    {
        "operator": st.sampled_from(["AND", "OR"]),
        "retired": st.booleans(),
        "filterGroups": st.lists(groups(), min_size=1, max_size=3),
    }
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
    for name in TABLES:
        columns = [f"{each.name} {each.type}" for each in BY_NAME[name].columns]
        if name == "guests":
            columns.append("guest_ref UUID")
        connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
    yield connection, tmp_path_factory.mktemp("rows")
    connection.close()


def fill(connection: Any, folder: Path, guests: list[GuestRows]) -> None:
    for name in TABLES:
        connection.execute(f"DELETE FROM {name}")
        lines = [json.dumps(row, default=str) for guest in guests for row in guest.of(name)]
        if lines:
            path = folder / f"{name}.ndjson"
            path.write_text("\n".join(lines))
            columns = connection.execute(f"DESCRIBE {name}").fetchall()
            shape = ", ".join(f"{column}: '{kind}'" for column, kind, *_ in columns)
            connection.execute(
                f"INSERT INTO {name} SELECT * FROM read_json('{path}', columns = {{{shape}}}, "
                "format = 'newline_delimited')"
            )


@settings(
    max_examples=2000 if LONG else 10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(guests=people(), bodies=st.lists(definitions, min_size=3, max_size=3))
def test_sql_and_memory_agree(
    lake: tuple[Any, Path], guests: list[GuestRows], bodies: list[Any]
) -> None:
    connection, folder = lake
    fill(connection, folder, guests)
    for body in bodies:
        definition = resolved(read(body, TRAITS), NOW)
        values = {name: partial(trait_values, TRAITS.trait(name)) for name in COMPARED_TRAITS}
        rows = connection.execute(members(definition, values).sql(dialect="duckdb")).fetchall()
        assert len(rows) == len(set(rows))
        expected = {guest.row["guest_ref"] for guest in guests if matches(definition, guest).member}
        assert {str(ref) for (ref,) in rows} == expected
