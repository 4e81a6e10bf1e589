"""Computed traits: a number, time or text calculated from a guest's orders, sessions and events.

`rules/revenue.py` decides which orders count.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.definitions import AND, TraitDefinition
from innkeeper.resources.segments import (
    ENTITIES,
    NUMBER,
    STRING,
    TIMESTAMP,
    Entity,
    SegmentField,
    snake,
)
from innkeeper.rules.revenue import is_bought, is_paid
from innkeeper.rules.segment_matching import counted_value, summand
from innkeeper.rules.segment_reading import DefinitionReader
from innkeeper.rules.segments import MONEY, FilterGroup, resolved_group

SCORE: Final = "score"
"""A guest's quintile among all buyers, which orders of other guests may change."""
NAME: Final = re.compile(r"[a-z][A-Za-z0-9]{0,63}")
CURRENCY: Final = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class Trait:
    """The definition of a trait."""

    name: str
    function: str
    group: FilterGroup
    column: str = ""
    type: str = NUMBER
    currency: str | None = None
    sales: bool = False
    """Whether only purchases count (`rules/revenue.py`)."""
    doc: str = ""

    @property
    def entity(self) -> Entity:
        return self.group.entity

    @property
    def relative(self) -> bool:
        """Whether it depends on other guests, so that one guest's rows are not enough."""
        return self.function == SCORE


ORDER_COUNT: Final = "orderCount"
"""The trait with the number of a guest's purchases."""


def _builtin(name: str, function: str, entity: str, doc: str, **more: Any) -> Trait:
    return Trait(name, function, FilterGroup(ENTITIES[entity], (), AND, ()), doc=doc, **more)


BUILTIN: Final = {
    trait.name: trait
    for trait in (
        _builtin(ORDER_COUNT, "count", "order", "Orders bought.", sales=True),
        _builtin(
            *("firstOrderAt", "least", "order", "First order bought."),
            column="core_ordered_at",
            type=TIMESTAMP,
            sales=True,
        ),
        _builtin(
            *("lastOrderAt", "greatest", "order", "Last order bought."),
            column="core_ordered_at",
            type=TIMESTAMP,
            sales=True,
        ),
        _builtin("sessionCount", "count", "session", "Sessions."),
        _builtin(
            *("lastEventAt", "greatest", "event", "Last event."),
            column="meta_created_at",
            type=TIMESTAMP,
        ),
        _builtin(
            *("favouriteCategory", "most_common", "order_item", "Type of most items bought."),
            column="type",
            type=STRING,
            sales=True,
        ),
        _builtin(
            *("rfmRecency", SCORE, "order", "How lately it bought; 5: the latest fifth of buyers."),
            column="recency",
            sales=True,
        ),
        _builtin(
            *(
                "rfmFrequency",
                SCORE,
                "order",
                "How often it bought; 5: the fifth that buys most often.",
            ),
            column="frequency",
            sales=True,
        ),
    )
}
IN_CURRENCY: Final = {
    trait.name: trait
    for trait in (
        _builtin(
            *("lifetimeValue", "sum", "order", "Price of all orders bought; refunded ones are 0."),
            column="core_price",
            sales=True,
        ),
        _builtin(
            *("averageOrderValue", "average", "order", "Price of an order bought, on average."),
            column="core_price",
            sales=True,
        ),
        _builtin(
            *("rfmValue", SCORE, "order", "For how much it bought; 5: the fifth that paid most."),
            column="value",
            sales=True,
        ),
    )
}
"""Traits with the currency in their name, `lifetimeValue.EUR`: currencies are never added."""


class Traits(Mapping[str, str]):
    """Mapping of trait name -> type: built-in traits, in any currency, and custom ones."""

    def __init__(self, custom: Mapping[str, Trait] | None = None) -> None:
        self.custom = dict(custom or {})

    def trait(self, name: str) -> Trait:
        """Return the trait of a name; raises KeyError."""
        if name in self.custom:
            return self.custom[name]
        if name in BUILTIN:
            return BUILTIN[name]
        base, _, currency = name.partition(".")
        if base in IN_CURRENCY and CURRENCY.fullmatch(currency):
            return replace(IN_CURRENCY[base], name=name, currency=currency)
        raise KeyError(name)

    def __getitem__(self, name: str) -> str:
        return self.trait(name).type

    def __iter__(self) -> Any:
        return iter([*BUILTIN, *self.custom])

    def __len__(self) -> int:
        return len(BUILTIN) + len(self.custom)


def read(name: str, body: Mapping[str, Any]) -> Trait:
    """Read a custom trait from JSON; raises `Invalid` with every problem."""
    reader = DefinitionReader()
    problems = reader.problems
    if not NAME.fullmatch(name) or name in BUILTIN or name in IN_CURRENCY:
        problems.append(Problem("name", "must be a new name in camel case"))
    values = reader.members(TraitDefinition, body, "")
    group, function = reader.rows(values, ""), values.get("function", "")
    if group is not None and group.entity.name == "guest":
        problems.append(Problem("entity", "must be something that guests have"))
    column, kind, currency = "", NUMBER, None
    if group is not None and function != "count" and "field" in values:
        currency = values.get("currency")
        declared = group.entity.fields.get(snake(values["field"] or ""))
        if declared is None or declared.many:
            problems.append(Problem("field", "must be a field of the entity with one value"))
        else:
            column, kind = declared.column, declared.type
            problems += _value_problems(function, declared, currency)
    if problems or group is None:
        raise Invalid(*problems)
    return Trait(name, function, group, column, kind, currency)


def _value_problems(function: str, field: SegmentField, currency: Any) -> Iterator[Problem]:
    if function in ("sum", "average") and field.type != NUMBER:
        yield Problem("field", "must be a number")
    if field.name in MONEY and not CURRENCY.fullmatch(str(currency)):
        yield Problem("currency", "must be an ISO 4217 code: currencies are never added")


def as_of(trait: Trait, now: datetime) -> Trait:
    """Return the trait with comparisons of days replaced by two instants, as of `now`."""
    return replace(trait, group=resolved_group(trait.group, now))


def counts(trait: Trait, row: Mapping[str, Any]) -> bool:
    """Whether a row has the trait's currency, and is a purchase if the trait needs one."""
    if trait.currency is not None and row.get("core_currency_code") != trait.currency:
        return False
    if not trait.sales:
        return True
    status = row.get("core_status")
    if trait.function == "sum":
        return is_paid(status)
    return is_bought(status, row.get("core_price"))


def computed(trait: Trait, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Calculate a trait from the rows of one guest that meet its rules; None if it has no value.

    Not for `relative` traits, which need the rows of all guests.
    """
    rows = [row for row in rows if counts(trait, row)]
    if trait.function == "count":
        return len(rows)
    if trait.function == "sum":
        return round(sum(summand(row, trait.column) for row in rows), 6)
    rows = [row for row in rows if row.get(trait.column) is not None]
    values = [counted_value(row, trait.column) for row in rows]
    if not values:
        return None
    if trait.function == "average":
        return round(sum(summand(row, trait.column) for row in rows) / len(rows), 6)
    if trait.function == "latest":
        at = trait.entity.at
        latest = max(rows, key=lambda row: (row[at], row["meta_ref"]))
        return counted_value(latest, trait.column)
    often = Counter(values)
    results: dict[str, Any] = {
        "least": min(values),
        "greatest": max(values),
        "most_common": min(often, key=lambda value: (-often[value], value)),
    }
    return results[trait.function]
