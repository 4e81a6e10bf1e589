"""Segments: what they may ask, how, and the states they go through (segmentation-and-export.md 1).

Fields come from the declarations of resources; a field that is new there can be asked for here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from innkeeper.resources.base import Resource
from innkeeper.resources.events import Event, Session
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import Count, Day, Instant, Kind, ListOf, Number, ObjectOf, Opaque
from innkeeper.resources.orders import Order, OrderItem

STRING: Final = "string"
NUMBER: Final = "number"
BOOLEAN: Final = "boolean"
TIMESTAMP: Final = "timestamp"
DATA_TYPES: Final = (STRING, NUMBER, BOOLEAN, TIMESTAMP)

CORE: Final = "core"
IDENTIFIER: Final = "identifier"
TRAIT: Final = "trait"
CUSTOM: Final = "custom"
"""Places that are no data extension; every other location is the name of one."""
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
    """What a group of rules is about."""

    name: str
    table: str
    at: str
    """The column that tells when it happened."""
    owner: str
    """The column that a data extension names."""
    fields: Mapping[str, SegmentField]
    subtypes: tuple[str, ...] = ()
    """Those that exist before any data does."""
    custom: bool = False
    """Whether it has free members in JSON."""


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
"""Columns of the lake that are not named after their field."""


def _typed(kind: Kind) -> tuple[str, bool] | None:
    if isinstance(kind, ListOf):
        return None if isinstance(kind.element, ObjectOf | Opaque) else (STRING, True)
    if isinstance(kind, ObjectOf | Opaque):
        return None
    if isinstance(kind, Number | Count):
        return NUMBER, False
    return (TIMESTAMP if isinstance(kind, Instant | Day) else STRING), False


def _fields(resource: type[Resource], *without: str) -> dict[str, SegmentField]:
    found = {}
    for name, field in resource.fields.items():
        typed = _typed(field.kind)
        if typed is not None and name not in without:
            found[name] = SegmentField(name, _COLUMNS.get(name, f"core_{name}"), *typed, field.doc)
    return found


_REVENUE: Final = SegmentField(
    "abandoned_revenue", "core_abandoned_revenue", NUMBER, doc="Price of what was left in a cart."
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
            "event",
            "events",
            "meta_created_at",
            "meta_ref",
            _fields(Event, "status"),
            custom=True,
        ),
        Entity("order", "orders", "core_ordered_at", "meta_ref", _fields(Order)),
        Entity("order_item", "order_items", "core_ordered_at", "meta_ref", _fields(OrderItem)),
    )
}
"""Guest, session, event, order and order item (1, first row)."""


@dataclass(frozen=True)
class Comparator:
    """A way to compare: the test it is, for which types, with how many values."""

    name: str
    test: str
    types: tuple[str, ...]
    least: int = 1
    most: int = 1
    negative: bool = False
    """The complement of its test: true as well where there is no value at all."""


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
"""Those of 1.2 with those that 9 adds; days are whole UTC days."""
COUNTING: Final = frozenset({"equal", "less", "at_most", "greater", "at_least", "between"})
"""Tests that a count or a sum may be put to."""

UNITS: Final = {"day": 1, "days": 1, "week": 7, "weeks": 7, "month": -1, "months": -1} | {
    "year": -12,
    "years": -12,
}
"""Units of the past and the next: days, or months where negative."""

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
"""Status -> those that may follow (1.1)."""
EDITABLE: Final = frozenset({DRAFT, PAUSED})
"""Statuses in which a segment may be changed or deleted: a Live one may not (1.1)."""

_UPPER: Final = re.compile(r"(?<!^)([A-Z])")


def snake(name: str) -> str:
    """A field as clients spell it, as declarations do: `firstName` is `first_name`."""
    return _UPPER.sub(r"_\1", name).lower()
