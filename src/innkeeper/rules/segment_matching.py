"""Evaluate a segment's definition for one guest, over rows in memory, with explanations.

Rows are dicts with the column names of the lake's tables. Sessions, events and orders already
refer to the survivor of a merged group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from innkeeper.resources.definitions import AND
from innkeeper.resources.segments import (
    BOOLEAN,
    CORE,
    CUSTOM,
    EXT,
    IDENTIFIER,
    NUMBER,
    RETIRED,
    STATIC_LIST,
    STRING,
    TIMESTAMP,
    TRAIT,
    Entity,
)
from innkeeper.rules.revenue import PRICES, refunded_as_zero
from innkeeper.rules.segments import Definition, FilterGroup, FilterRule, SequenceStep

Row = Mapping[str, Any]


@dataclass(frozen=True)
class GuestRows:
    """A guest's row, and its rows in every other table."""

    row: Row
    tables: Mapping[str, Sequence[Row]]
    traits: Mapping[str, Any]

    def of(self, table: str) -> Sequence[Row]:
        return [self.row] if table == "guests" else self.tables.get(table, ())


@dataclass(frozen=True)
class Decided:
    """The result of a rule or group: whether it is true, and the value that decided."""

    holds: bool
    what: str
    value: Any = None


@dataclass(frozen=True)
class Verdict:
    """Whether a guest is a member of a segment, with the result of each group and its rules."""

    member: bool
    groups: tuple[tuple[Decided, tuple[Decided, ...]], ...]


def matches(definition: Definition, guest: GuestRows) -> Verdict:
    """Evaluate a `resolved` definition for a guest."""
    decided = tuple(_group(group, guest) for group in definition.groups)
    holds = [group.holds for group, _ in decided]
    member = all(holds) if definition.operator == AND else any(holds)
    asks_for_retired = any(
        group.entity.name == "guest" and RETIRED in (word.upper() for word in group.types)
        for group in definition.groups
    )
    if guest.row.get("type") == RETIRED and not definition.retired and not asks_for_retired:
        member = False
    return Verdict(member, decided)


def _group(group: FilterGroup, guest: GuestRows) -> tuple[Decided, tuple[Decided, ...]]:
    rules: tuple[Decided, ...] = ()
    value: Any
    if group.sequence:
        ends = _ends(group.sequence, guest)
        holds, value = bool(ends), max(ends, default=None)
    elif group.entity.name == "guest":
        holds = _meets(group, guest.row, guest)
        value = guest.row.get("type")
        rules = tuple(_explained(rule, group.entity, guest.row, guest) for rule in group.rules)
    else:
        holds, value, rules = _counted(group, guest)
    what = ("not " if group.exclude else "") + group.entity.name
    return Decided(holds != group.exclude, what, value), rules


def _counted(group: FilterGroup, guest: GuestRows) -> tuple[bool, Any, tuple[Decided, ...]]:
    rows = [
        row
        for row in guest.of(group.entity.table)
        if _meets(group, row, guest)
        and (group.currency is None or row.get("core_currency_code") == group.currency)
    ]
    holds = []
    value: Any = len(rows)
    if group.count is not None:
        holds.append(group.count.holds(len(rows)))
    if group.total is not None:
        value = round(sum(summand(row, group.total_column) for row in rows), 6)
        holds.append(group.total.holds(value))
    # The rules are explained by the latest row.
    latest = max(rows, key=lambda row: row.get(group.entity.at) or datetime.min, default=None)
    rules = (
        ()
        if latest is None
        else tuple(_explained(rule, group.entity, latest, guest) for rule in group.rules)
    )
    return (all(holds) if holds else bool(rows)), value, rules


def summand(row: Row, column: str) -> float:
    """Return the number that a row adds to a sum."""
    return float(counted_value(row, column) or 0)


def counted_value(row: Row, column: str) -> Any:
    """Return a value for calculations: the price of a refunded order or item is 0."""
    value = row.get(column)
    if column in PRICES and value is not None:
        return refunded_as_zero(row.get("core_status"), value)
    return value


def _ends(steps: Sequence[SequenceStep], guest: GuestRows) -> list[datetime]:
    """Return the end times of all chains of the steps; empty if there is no chain."""
    ends = _times(steps[0], guest)
    for step in steps[1:]:
        times = _times(step, guest)
        if step.absent:
            return [end for end in ends if not any(_follows(end, at, step) for at in times)]
        ends = [at for at in times if any(_follows(end, at, step) for end in ends)]
    return ends


def _times(step: SequenceStep, guest: GuestRows) -> list[datetime]:
    rows = guest.of(step.entity.table)
    return [row[step.entity.at] for row in rows if _meets(step, row, guest)]


def _follows(end: datetime, at: datetime, step: SequenceStep) -> bool:
    return at > end and (step.within is None or at - end <= step.within)


def _meets(rows: FilterGroup | SequenceStep, row: Row, guest: GuestRows) -> bool:
    if rows.types:
        guests = rows.entity.name == "guest"
        words = [word.upper() for word in rows.types] if guests else rows.types
        if row.get("type") not in words:
            return False
    tests = [_rule(rule, rows.entity, row, guest) for rule in rows.rules]
    return not tests or (all(tests) if rows.operator == AND else any(tests))


def _explained(rule: FilterRule, entity: Entity, row: Row, guest: GuestRows) -> Decided:
    values = _values(rule, entity, row, guest)
    what = f"{rule.location}.{rule.field} {rule.comparator.name}"
    value = None if not values else values[0] if len(values) == 1 else values
    return Decided(_rule(rule, entity, row, guest), what, value)


def _rule(rule: FilterRule, entity: Entity, row: Row, guest: GuestRows) -> bool:
    if rule.comparator.test == "null":
        holds = not _values(rule, entity, row, guest, typed=False)
    else:
        holds = any(_test(rule, value) for value in _values(rule, entity, row, guest))
    return holds != rule.comparator.negative


def _values(
    rule: FilterRule, entity: Entity, row: Row, guest: GuestRows, *, typed: bool = True
) -> list[Any]:
    """Return the values that a rule tests; `typed` leaves out values of other types."""
    if rule.location == CORE:
        value = row.get(rule.column)
        return list(value or ()) if rule.many else [] if value is None else [value]
    if entity.custom:
        members = row.get("custom") or {}
        members = members if rule.location == CUSTOM else members.get(EXT) or {}
        value = members.get(rule.field) if isinstance(members, Mapping) else None
        return [] if value is None or (typed and not _is(rule.type, value)) else [value]
    if rule.location == TRAIT:
        value = guest.traits.get(rule.field)
        return [] if value is None else [value]
    if rule.location == IDENTIFIER:
        return [
            each["id"]
            for each in guest.of("identifiers")
            if each["provider"] == rule.field and each["id"] is not None
        ]
    if rule.location == STATIC_LIST:
        lists = guest.of("static_list_members")
        return [any(each["list_id"] == rule.field for each in lists)]
    return _extension(rule, entity, row, guest, typed=typed)


def _extension(
    rule: FilterRule, entity: Entity, row: Row, guest: GuestRows, *, typed: bool
) -> list[Any]:
    guests = entity.name == "guest"
    table = "extensions" if guests else "order_extensions"
    values = []
    for each in guest.of(table):
        if each["name"] != rule.location or each["key"] != rule.field:
            continue
        if entity.name == "order" and (
            each["order_ref"] != row["meta_ref"] or each["order_item_ref"] is not None
        ):
            continue
        if entity.name == "order_item" and each["order_item_ref"] != row["meta_ref"]:
            continue
        kind = each["value_type"]
        value = {"number": each["number"], "boolean": each["truth"]}.get(kind, each["value"])
        if kind != "null" and (not typed or _is(rule.type, value)):
            values.append(value)
    return values


def _is(kind: str, value: Any) -> bool:
    """Whether an undeclared value has a rule's type; days are text."""
    if kind == BOOLEAN:
        return isinstance(value, bool)
    if kind == NUMBER:
        return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return isinstance(value, str)


def _test(rule: FilterRule, value: Any) -> bool:
    test = rule.comparator.test
    if test in ("true", "false"):
        return bool(value) == (test == "true")
    if rule.type == TIMESTAMP:
        moment = _moment(value)
        return (
            moment is not None
            and bool(rule.start and rule.end)
            and (
                rule.start <= moment < rule.end  # type: ignore[operator]
            )
        )
    return (
        _of_text(test, str(value), rule)
        if rule.type == STRING
        else number_meets(test, float(value), rule.values)
    )


def _of_text(test: str, value: str, rule: FilterRule) -> bool:
    first = rule.values[0]
    return bool(
        {
            "equal": value == first,
            "any": value in rule.values,
            "contains": first in value,
            "starts": value.startswith(first),
            "ends": value.endswith(first),
        }[test]
    )


def number_meets(test: str, value: float, values: Sequence[Any]) -> bool:
    """Whether a number passes a comparator's test."""
    first = values[0]
    return bool(
        {
            "equal": value == first,
            "any": value in values,
            "less": value < first,
            "at_most": value <= first,
            "greater": value > first,
            "at_least": value >= first,
            "between": first <= value <= values[-1],
        }[test]
    )


def _moment(value: Any) -> datetime | None:
    """Return the instant of a column or of free text; None if it is not one."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        read = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def rows_that_meet(group: FilterGroup, guest: GuestRows) -> list[Row]:
    """Return the rows of a guest that meet a group's rules."""
    return [row for row in guest.of(group.entity.table) if _meets(group, row, guest)]
