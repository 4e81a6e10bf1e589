"""Types of segment definitions, and the resolution of relative days.

`rules/segment_reading.py` reads a definition from JSON. It is evaluated as SQL
(`lake/segment_sql.py`) and in memory (`rules/segment_matching.py`). Both need a definition from
`resolved`, in which "the past 3 days" is replaced by two instants.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from innkeeper.resources.definitions import AND
from innkeeper.resources.segments import TIMESTAMP, TRAIT, UNITS, Comparator, Entity

MONEY: Final = frozenset({"price", "original_price", "abandoned_revenue"})
"""Fields whose sums need a currency, because amounts of different currencies are never added."""
DAY: Final = timedelta(days=1)
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class FilterRule:
    """A comparison; for days it has `start` and `end` (exclusive) once resolved."""

    location: str
    field: str
    comparator: Comparator
    values: tuple[Any, ...]
    type: str
    column: str = ""
    """The column in the lake, for a declared field."""
    many: bool = False
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Amount:
    """A test of a number: the count of rows, or a sum."""

    test: str
    values: tuple[float, ...]
    negative: bool = False

    def holds(self, number: float) -> bool:
        first = self.values[0]
        passes = {
            "equal": number == first,
            "less": number < first,
            "at_most": number <= first,
            "greater": number > first,
            "at_least": number >= first,
            "between": first <= number <= self.values[-1],
        }[self.test]
        return passes != self.negative


@dataclass(frozen=True)
class SequenceStep:
    """A step of a sequence; an `absent` one must not follow."""

    entity: Entity
    types: tuple[str, ...]
    operator: str
    rules: tuple[FilterRule, ...]
    within: timedelta | None = None
    """Longest time since the previous step."""
    absent: bool = False


@dataclass(frozen=True)
class FilterGroup:
    """Rules on rows of one entity, with tests of the count and sum of matching rows."""

    entity: Entity
    types: tuple[str, ...]
    operator: str
    rules: tuple[FilterRule, ...]
    exclude: bool = False
    count: Amount | None = None
    total: Amount | None = None
    total_column: str = ""
    currency: str | None = None
    sequence: tuple[SequenceStep, ...] = ()


@dataclass(frozen=True)
class Definition:
    """Groups combined by AND or OR; or `sql`, in advanced mode."""

    groups: tuple[FilterGroup, ...] = ()
    operator: str = AND
    retired: bool = False
    """Whether guests that were merged into another are included."""
    sql: str | None = None


def traits_in(definition: Definition) -> set[str]:
    """Return the names of the computed traits that a definition uses."""
    rules = (rule for group in definition.groups for rule in group.rules)
    return {rule.field for rule in rules if rule.location == TRAIT}


def resolved(definition: Definition, now: datetime) -> Definition:
    """Return the definition with comparisons of days replaced by two instants, as of `now`."""
    return replace(definition, groups=tuple(resolved_group(one, now) for one in definition.groups))


def resolved_group(group: FilterGroup, now: datetime) -> FilterGroup:
    """Return the group with comparisons of days replaced by two instants, as of `now`."""

    def rules(relative: Sequence[FilterRule]) -> tuple[FilterRule, ...]:
        return tuple(_absolute(rule, now) for rule in relative)

    steps = tuple(replace(step, rules=rules(step.rules)) for step in group.sequence)
    return replace(group, rules=rules(group.rules), sequence=steps)


def _absolute(rule: FilterRule, now: datetime) -> FilterRule:
    if rule.type != TIMESTAMP or rule.comparator.test == "null":
        return rule
    today = now.astimezone(UTC).date()
    values = rule.values
    match rule.comparator.test:
        case "before":
            return replace(rule, start=EARLIEST, end=_midnight(values[0]))
        case "after":
            return replace(rule, start=_midnight(values[0], 1), end=LATEST)
        case "past":
            first, last = _shifted(today, -values[0], values[1], 1), today
        case "next":
            first, last = today, _shifted(today, values[0], values[1], -1)
        case "plus":
            first = last = _shifted(today, values[0], values[1])
        case "minus":
            first = last = _shifted(today, -values[0], values[1])
        case _:
            first, last = values[0], values[-1]
    return replace(rule, start=_midnight(first), end=_midnight(last, 1))


def _midnight(day: date, later: int = 0) -> datetime:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start + later * DAY if day < date.max else LATEST


def _shifted(day: date, number: int, unit: str, days: int = 0) -> date:
    """Shift a day by a number of units, then by days; in a shorter month, from its last day."""
    step = UNITS[unit]
    try:
        if step > 0:
            return day + timedelta(days=number * step + days)
        months = day.year * 12 + day.month - 1 + number * -step
        year, month = divmod(months, 12)
        last = calendar.monthrange(year, month + 1)[1]
        return date(year, month + 1, min(day.day, last)) + timedelta(days=days)
    except (ValueError, OverflowError):
        return date.min if number < 0 else date.max
