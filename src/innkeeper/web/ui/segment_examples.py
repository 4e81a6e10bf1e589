"""Templates of segments, which the builder offers as a start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from innkeeper.resources.segments import TIMESTAMP, TRAIT

AT_LEAST: Final = "is greater than or equal to"


@dataclass(frozen=True, slots=True)
class Example:
    """A template: its name, what it is for, and its definition."""

    name: str
    text: str
    definition: Mapping[str, Any]


def _groups(*groups: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"filterGroups": list(groups)}


def _within(field: str, number: int, unit: str) -> Mapping[str, Any]:
    """Return a rule: the time is in the past days, weeks, months or years."""
    rule = {"field": field, "comparator": "is in the past", "values": [number, unit]}
    return rule | {"comparatorDataType": TIMESTAMP}


def _orders(comparator: str, number: int, *rules: Mapping[str, Any]) -> Mapping[str, Any]:
    count = {"comparator": comparator, "values": [number]}
    return {"entity": "order", "count": count, "rules": list(rules)}


_NO_SESSION: Final = {
    "entity": "session",
    "filterGroupType": "EXCLUDE",
    "rules": [_within("started_at", 30, "days")],
}
_SPENT: Final = {"field": "price", "currency": "EUR", "comparator": AT_LEAST, "values": [200]}
_ADDED_NOT_BOUGHT: Final = [
    {"entity": "event", "type": "ADD"},
    {"entity": "order", "absent": True, "withinDays": 7},
]
_VIEWED_NOT_BOUGHT: Final = [{"entity": "event", "type": "VIEW"}, *_ADDED_NOT_BOUGHT]
_BEST_BUYERS: Final = {
    "entity": "guest",
    "rules": [
        {"location": TRAIT, "field": name, "comparator": AT_LEAST, "values": [4]}
        for name in ("rfmRecency", "rfmFrequency")
    ],
}

EXAMPLES: Final[Mapping[str, Example]] = {
    "lapsed": Example(
        "Bought twice, not back for 30 days",
        "Customers to win back: at least 2 orders, and no session for a month.",
        _groups(_orders(AT_LEAST, 2), _NO_SESSION),
    ),
    "vip": Example(
        "VIP: recent and frequent buyers",
        "The best two fifths of all buyers, by when and how often they bought.",
        _groups(_BEST_BUYERS),
    ),
    "basket": Example(
        "Abandoned basket",
        "Added a product and placed no order within 7 days.",
        _groups({"sequence": _ADDED_NOT_BOUGHT}),
    ),
    "never": Example(
        "Never bought",
        "Known customers without any order.",
        _groups(
            {"entity": "guest", "type": "CUSTOMER"},
            {"entity": "order", "filterGroupType": "EXCLUDE"},
        ),
    ),
    "new": Example(
        "First order in the last 30 days",
        "New buyers to welcome: one order, placed within a month.",
        _groups(_orders("is equal to", 1), _orders(AT_LEAST, 1, _within("ordered_at", 30, "days"))),
    ),
    "spent": Example(
        "Spent 200 EUR or more in a year",
        "Orders of the past year add up to 200 EUR. Change amount and currency as you like.",
        _groups({"entity": "order", "sum": _SPENT, "rules": [_within("ordered_at", 1, "years")]}),
    ),
    "left": Example(
        "Viewed, added, did not buy within 7 days",
        "Three steps in this order; each step may have rules of its own.",
        _groups({"sequence": _VIEWED_NOT_BOUGHT}),
    ),
}
"""Name in the query of the builder's URL -> template."""
