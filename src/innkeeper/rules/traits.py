"""Computed traits: a number, a time or a word made of what a guest bought and did.

Which orders count is decided by `revenue`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.segments import (
    ENTITIES,
    NUMBER,
    STRING,
    TIMESTAMP,
    Entity,
    SegmentField,
    snake,
)
from innkeeper.rules import segment_reading
from innkeeper.rules.revenue import is_bought, is_paid
from innkeeper.rules.segment_matching import counted_value, summand
from innkeeper.rules.segments import AND, MONEY, FilterGroup, resolved_group

SCORE: Final = "score"
"""A guest's fifth among all buyers: another guest's order can change it."""
FUNCTIONS: Final = ("count", "sum", "average", "least", "greatest", "latest", "most_common")
NAME: Final = re.compile(r"[a-z][A-Za-z0-9]{0,63}")
CURRENCY: Final = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class Trait:
    """How a trait is computed."""

    name: str
    function: str
    group: FilterGroup
    column: str = ""
    type: str = NUMBER
    currency: str | None = None
    sales: bool = False
    """Only orders or items that were bought (`revenue.py`)."""
    doc: str = ""

    @property
    def entity(self) -> Entity:
        return self.group.entity

    @property
    def relative(self) -> bool:
        """Whether it depends on other guests, so that one guest's rows do not tell it."""
        return self.function == SCORE


def _builtin(name: str, function: str, entity: str, doc: str, **more: Any) -> Trait:
    return Trait(name, function, FilterGroup(ENTITIES[entity], (), AND, ()), doc=doc, **more)


BUILTIN: Final = {
    trait.name: trait
    for trait in (
        _builtin("orderCount", "count", "order", "Orders bought.", sales=True),
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
"""Traits named with their currency, `lifetimeValue.EUR`: currencies are never added."""


class Traits(Mapping[str, str]):
    """The traits there are, by name with their types; in any currency."""

    def __init__(self, custom: Mapping[str, Trait] | None = None) -> None:
        self.custom = dict(custom or {})

    def trait(self, name: str) -> Trait:
        """The trait of that name; raises KeyError."""
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
    """A trait of its JSON; raises `Invalid` with every problem."""
    problems: list[Problem] = []
    if not NAME.fullmatch(name) or name in BUILTIN or name in IN_CURRENCY:
        problems.append(Problem("name", "must be a new name in camel case"))
    function = body.get("function")
    if function not in FUNCTIONS:
        problems.append(Problem("function", f"value must be one of {','.join(FUNCTIONS)}"))
    group = _read_group(body, problems)
    column, kind, currency = "", NUMBER, None
    if group is not None and function != "count":
        currency = body.get("currency")
        known = group.entity.fields.get(snake(str(body.get("field"))))
        if known is None or known.many:
            problems.append(Problem("field", "must be a field of the entity with one value"))
        else:
            column, kind = known.column, known.type
            problems += _value_problems(str(function), known, currency)
    if problems or group is None:
        raise Invalid(*problems)
    return Trait(name, str(function), group, column, kind, currency)


def _read_group(body: Mapping[str, Any], problems: list[Problem]) -> FilterGroup | None:
    """The rows that a trait is computed of; None where its problems are noted."""
    sent = {key: body.get(key) for key in ("entity", "type", "ruleOperator", "rules")}
    sent = {key: value for key, value in sent.items() if value is not None}
    try:
        (group,) = segment_reading.read({"filterGroups": [sent]}).groups
    except Invalid as invalid:
        problems += (one.moved("definition.filterGroups[0].", "") for one in invalid.problems)
        return None
    if group.entity.name == "guest":
        problems.append(Problem("entity", "must be something that guests have"))
        return None
    return group


def _value_problems(function: str, field: SegmentField, currency: Any) -> Iterator[Problem]:
    if function in ("sum", "average") and field.type != NUMBER:
        yield Problem("field", "must be a number")
    if field.name in MONEY and not CURRENCY.fullmatch(str(currency)):
        yield Problem("currency", "must be an ISO 4217 code: currencies are never added")


def as_of(trait: Trait, now: datetime) -> Trait:
    """The trait with its rules about days between two instants, as of `now`."""
    return replace(trait, group=resolved_group(trait.group, now))


def counts(trait: Trait, row: Mapping[str, Any]) -> bool:
    """Whether a row has the trait's currency and is a sale where it must be."""
    if trait.currency is not None and row.get("core_currency_code") != trait.currency:
        return False
    if not trait.sales:
        return True
    status = row.get("core_status")
    if trait.function == "sum":
        return is_paid(status)
    return is_bought(status, row.get("core_price"))


def computed(trait: Trait, rows: Sequence[Mapping[str, Any]]) -> Any:
    """The trait of the rows of one guest that meet its rules; None where there is no value.

    Not of a `relative` one, which the rows of all guests tell.
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
    picked: dict[str, Any] = {
        "least": min(values),
        "greatest": max(values),
        "most_common": min(often, key=lambda value: (-often[value], value)),
    }
    return picked[trait.function]
