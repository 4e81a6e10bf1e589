"""Entities, fields, comparators and statuses of segments (segmentation-and-export.md 1).

Fields come from the declarations of resources: a new field there is available to segments here.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from innkeeper.resources.base import Resource
from innkeeper.resources.events import Event, Session
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import (
    Count,
    Day,
    Instant,
    Kind,
    ListOf,
    Number,
    ObjectOf,
    Opaque,
    Schema,
)
from innkeeper.resources.orders import Order, OrderItem
from innkeeper.resources.values import ValueRefused

STRING: Final = "string"
NUMBER: Final = "number"
BOOLEAN: Final = "boolean"
TIMESTAMP: Final = "timestamp"
DATA_TYPES: Final = (STRING, NUMBER, BOOLEAN, TIMESTAMP)

CORE: Final = "core"
IDENTIFIER: Final = "identifier"
TRAIT: Final = "trait"
STATIC_LIST: Final = "static_list"
CUSTOM: Final = "custom"
"""Locations of fields that are not a data extension; any other location is the name of one."""
EXT: Final = "ext"

RETIRED: Final = "RETIRED"


@dataclass(frozen=True)
class SegmentField:
    """A declared field as segments see it; `column` is its name in the lake."""

    name: str
    column: str
    type: str
    many: bool = False
    doc: str = ""


@dataclass(frozen=True)
class Entity:
    """The kind of row that a filter group tests."""

    name: str
    table: str
    at: str
    """The column with the time at which it happened."""
    owner: str
    """The column that data extensions are joined by."""
    fields: Mapping[str, SegmentField]
    subtypes: tuple[str, ...] = ()
    """Subtypes that exist without any data."""
    has_types: bool = True
    """Whether its rows have a type."""
    custom: bool = False
    """Whether rows have undeclared members in JSON."""


_COLUMNS: Final = {
    "ref": "meta_ref",
    "created_at": "meta_created_at",
    "modified_at": "meta_modified_at",
    "type": "type",
    "guest_type": "type",
    "session_type": "type",
    "first_seen": "core_first_seen_at",
    "last_seen": "core_last_seen_at",
    "browser_ref": "browser_ref",
    "session_ref": "session_ref",
}
"""Field -> column of the lake, where the column is not `core_` and the field's name."""


def _typed(kind: Kind) -> tuple[str, bool] | None:
    if isinstance(kind, ListOf):
        return None if isinstance(kind.element, ObjectOf | Opaque) else (STRING, True)
    if isinstance(kind, ObjectOf | Opaque):
        return None
    if isinstance(kind, Number | Count):
        return NUMBER, False
    return (TIMESTAMP if isinstance(kind, Instant | Day) else STRING), False


def _fields(resource: type[Resource], *without: str) -> dict[str, SegmentField]:
    fields = {}
    for name, field in resource.fields.items():
        typed = _typed(field.kind)
        if typed is not None and name not in without:
            fields[name] = SegmentField(name, _COLUMNS.get(name, f"core_{name}"), *typed, field.doc)
    return fields


_REVENUE: Final = SegmentField(
    "abandoned_revenue", "core_abandoned_revenue", NUMBER, doc="Price of the items left in a cart."
)

ENTITIES: Final = {
    entity.name: entity
    for entity in (
        Entity(
            "guest",
            "guests",
            "meta_created_at",
            "guest_ref",
            _fields(Guest),
            ("CUSTOMER", "VISITOR", "TRAVELLER", RETIRED),
        ),
        Entity(
            "session",
            "sessions",
            "core_started_at",
            "meta_ref",
            {**_fields(Session, "guest_ref"), "abandoned_revenue": _REVENUE},
        ),
        Entity(
            "event", "events", "meta_created_at", "meta_ref", _fields(Event, "status"), custom=True
        ),
        Entity("order", "orders", "core_ordered_at", "meta_ref", _fields(Order), has_types=False),
        Entity("order_item", "order_items", "core_ordered_at", "meta_ref", _fields(OrderItem)),
    )
}
"""Guest, session, event, order and order item (1, first row)."""
NOT_AN_ENTITY: Final = f"value must be one of {','.join(ENTITIES)}"


@dataclass(frozen=True)
class Comparator:
    """A comparison: its test, the data types it accepts, and how many values it takes."""

    name: str
    test: str
    types: tuple[str, ...]
    least: int = 1
    most: int = 1
    negative: bool = False
    """Whether it negates its test; then it also matches rows without a value."""


def _both(
    positive: str, negative: str, test: str, types: tuple[str, ...], least: int = 1, most: int = 1
) -> list[Comparator]:
    return [
        Comparator(positive, test, types, least, most),
        Comparator(negative, test, types, least, most, negative=True),
    ]


_ALL: Final = DATA_TYPES
_MANY: Final = 1000

COMPARATORS: Final = {
    comparator.name: comparator
    for comparator in (
        *_both("is equal to", "is not equal to", "equal", (STRING, NUMBER)),
        *_both("includes any of", "does not include any of", "any", (STRING, NUMBER), 1, _MANY),
        *_both("contains", "does not contain", "contains", (STRING,)),
        *_both("starts with", "does not start with", "starts", (STRING,)),
        *_both("ends with", "does not end with", "ends", (STRING,)),
        *_both("is null", "is not null", "null", _ALL, 0, 0),
        Comparator("is less than", "less", (NUMBER,)),
        Comparator("is less than or equal to", "at_most", (NUMBER,)),
        Comparator("is greater than", "greater", (NUMBER,)),
        Comparator("is greater than or equal to", "at_least", (NUMBER,)),
        *_both("is between", "is not between", "between", (NUMBER, TIMESTAMP), 2, 2),
        Comparator("is true", "true", (BOOLEAN,), 0, 0),
        Comparator("is false", "false", (BOOLEAN,), 0, 0),
        *_both("is in the past", "is not in the past", "past", (TIMESTAMP,), 2, 2),
        *_both("is in the next", "is not in the next", "next", (TIMESTAMP,), 2, 2),
        Comparator("is now plus", "plus", (TIMESTAMP,), 2, 2),
        Comparator("is now minus", "minus", (TIMESTAMP,), 2, 2),
        *_both("is on the day", "is not on the day", "day", (TIMESTAMP,)),
        Comparator("is before", "before", (TIMESTAMP,)),
        Comparator("is after", "after", (TIMESTAMP,)),
    )
}
"""The comparators of 1.2 and those that 9 adds; days are whole UTC days."""
_COUNTING: Final = frozenset({"equal", "less", "at_most", "greater", "at_least", "between"})
OF_NUMBERS: Final = tuple(
    name for name, each in COMPARATORS.items() if each.test in _COUNTING and NUMBER in each.types
)
"""Comparators that a count or a sum accepts."""

UNITS: Final = {"day": 1, "days": 1, "week": 7, "weeks": 7, "month": -1, "months": -1} | {
    "year": -12,
    "years": -12,
}
"""Unit of a relative period -> its length in days, or in months if negative."""

DRAFT: Final = "DRAFT"
PUBLISHING: Final = "PUBLISHING"
SCHEDULED: Final = "SCHEDULED"
LIVE: Final = "LIVE"
PAUSED: Final = "PAUSED"
NEXT: Final[Mapping[str, frozenset[str]]] = {
    DRAFT: frozenset({PUBLISHING, SCHEDULED}),
    PUBLISHING: frozenset({SCHEDULED, LIVE, DRAFT, PAUSED}),
    SCHEDULED: frozenset({LIVE, PAUSED}),
    LIVE: frozenset({PAUSED}),
    PAUSED: frozenset({PUBLISHING}),
}
"""Status -> statuses that may follow it (1.1)."""
EDITABLE: Final = frozenset({DRAFT, PAUSED})
"""Statuses in which a segment may be changed or deleted: a Live one may not (1.1)."""

_UPPER: Final = re.compile(r"(?<!^)([A-Z])")


def snake(name: str) -> str:
    """Return a field name in the spelling of declarations: `firstName` becomes `first_name`."""
    return _UPPER.sub(r"_\1", name).lower()


def entity_of(name: Any) -> Entity | None:
    """Return the entity of a name in any spelling: `order_item`, `orderItem`, `Order Item`."""
    spelt = snake(name).replace(" ", "") if isinstance(name, str) else ""
    return ENTITIES.get(re.sub("_+", "_", spelt))


@dataclass(frozen=True)
class EntityName(Kind):
    """The name of an entity in any spelling, read as the entity."""

    def read(self, value: Any) -> Entity:
        entity = entity_of(value)
        if entity is None:
            raise ValueRefused(NOT_AN_ENTITY)
        return entity

    def schema(self) -> Schema:
        return {"type": "string", "description": f"In any spelling: {', '.join(ENTITIES)}."}


@dataclass(frozen=True)
class NumberInText(Kind):
    """A number, or its text, as segment builders send it."""

    def read(self, value: Any) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueRefused("must be a number")
        return number

    def schema(self) -> Schema:
        return {"type": ["number", "string"]}
