"""P4: a mapping that is compiled returns what the mapping returns cell by cell."""

import sys
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from innkeeper.wire.bulk.cells import CellRules, Unfit
from innkeeper.wire.bulk.mapping import ColumnMapping
from innkeeper.wire.bulk.row_values import RowValues

TARGETS = {
    "guests": (
        *("firstName", "fullName", "phoneNumbers", "country", "dateOfBirth", "emails", "street"),
        *("identifiers.CRM", "extensions.ext.tier", "extensions.ext2/k.points", "extensions"),
        *("firstSeen", "subscriptions"),
    ),
    "orders": (
        *("price", "orderedAt", "contact.email", "contact.phoneNumbers", "contact.country"),
        *("contact.identifiers.CRM", "orderItems.price", "orderItems.name", "extensions.ext.a"),
        *("orderItems.extensions.ext.b", "contact.extensions.ext.c", "orderItems"),
    ),
    "events": ("type", "identifiers.email", "ext.a", "data", "requested_at"),
}
CELLS: tuple[Any, ...] = (
    *("", "x", "Germany", "12", "1,5", "[1]", '["a"]', '{"at": 1}', "yes", "2024-02-03", "007"),
    *("3.53861E+11", "021 4271111", None, 5, Decimal("1.5"), True, ["a"], {"at": "b"}, "NULL"),
)
RULES = CellRules(region="IE", nothing=frozenset({"NULL"}), guards=frozenset({"a"}))


def outcome(value: Any, row: dict[str, Any]) -> Any:
    try:
        return value(row)
    except Unfit as unfit:
        return str(unfit)


@pytest.mark.parametrize("entity", TARGETS)
def test_compiled_mappings_are_equal_to_mappings(entity: str) -> None:
    for target in TARGETS[entity]:
        for types in ({}, {"a": "number"}, {"a": "boolean"}, {"a": "text"}, {"a": "json"}):
            mapping = ColumnMapping(
                {"a": (target,), "b": (TARGETS[entity][0],)},
                types=types,
                rules=RULES,
                values={"b": {"x": "y", "*": "z"}},
                constants={TARGETS[entity][0]: "constant"},
            )
            values = RowValues(entity, mapping)
            for cell in (*CELLS, *CELLS[:4]):
                row = {"a": cell, "b": "x"}
                expected = outcome(partial(mapping.value, entity), row)
                assert outcome(values.value, row) == expected, (target, types, cell)


def test_long_cells_are_not_cached() -> None:
    """A cell may have megabytes, and a file thousands of them."""
    values = RowValues("guests", ColumnMapping({"a": ("extensions.ext.tier",)}))
    cell = "x" * 1000
    before = sys.getrefcount(cell)
    assert values.value({"a": cell})["extensions"] == [
        {"name": "ext", "key": "default", "tier": cell}
    ]
    assert sys.getrefcount(cell) == before
