"""Definitions of segments: read, checked and made absolute; what a group asks of its rows.

A definition has two interpreters, SQL (`lake/segment_sql.py`) and memory (`rules/matching.py`);
both start from what `resolved` makes of it, where "the past 3 days" are two instants already.
"""

import calendar
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.kinds import NOT_VALID, Refused, instant, storable
from innkeeper.resources.segments import (
    BOOLEAN,
    COMPARATORS,
    CORE,
    COUNTING,
    CUSTOM,
    DATA_TYPES,
    ENTITIES,
    EXT,
    IDENTIFIER,
    NUMBER,
    STRING,
    TIMESTAMP,
    TRAIT,
    UNITS,
    Comparator,
    Entity,
    snake,
)

AND: Final = "AND"
OR: Final = "OR"
INCLUDE: Final = "INCLUDE"
EXCLUDE: Final = "EXCLUDE"
MOST_GROUPS: Final = 50
MOST_RULES: Final = 100
MOST_STEPS: Final = 10
LONGEST_FIELD: Final = 255
FARTHEST: Final = 10_000
"""Largest number of days, weeks, months or years."""
MONEY: Final = frozenset({"price", "original_price", "abandoned_revenue"})
"""Fields whose sums need one currency: currencies are never added."""
DAY: Final = timedelta(days=1)
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)

_FREE_FIELD: Final = re.compile(r"[^\x00-\x1f\"\\$\[\]]{1,255}")


BLANK: Final = COMPARATORS["is null"]


@dataclass(frozen=True)
class Rule:
    """One comparison; with `start` and `end` (exclusive) where it is one of days."""

    location: str
    field: str
    comparator: Comparator
    values: tuple[Any, ...]
    type: str
    column: str = ""
    """For declared fields: the lake's column."""
    many: bool = False
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Amount:
    """A test of a number: how many rows, or what they add up to."""

    test: str
    values: tuple[float, ...]
    negative: bool = False

    def holds(self, number: float) -> bool:
        first = self.values[0]
        found = {
            "equal": number == first,
            "less": number < first,
            "at_most": number <= first,
            "greater": number > first,
            "at_least": number >= first,
            "between": first <= number <= self.values[-1],
        }[self.test]
        return found != self.negative


@dataclass(frozen=True)
class Step:
    """One link of a sequence; an absent one must not follow."""

    entity: Entity
    types: tuple[str, ...]
    operator: str
    rules: tuple[Rule, ...]
    within: timedelta | None = None
    """Time after the step before."""
    absent: bool = False


@dataclass(frozen=True)
class Group:
    """Rules about rows of one entity: how many must meet them, what they must add up to."""

    entity: Entity
    types: tuple[str, ...]
    operator: str
    rules: tuple[Rule, ...]
    exclude: bool = False
    count: Amount | None = None
    total: Amount | None = None
    total_column: str = ""
    currency: str | None = None
    sequence: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Definition:
    """Groups joined by AND or OR; `sql` instead in advanced mode."""

    groups: tuple[Group, ...] = ()
    operator: str = AND
    retired: bool = False
    """Whether guests that were merged into another count as well."""
    sql: str | None = None


class _Reader:
    """Reads JSON; notes every problem instead of stopping at the first."""

    def __init__(self, traits: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.traits = traits

    def problem(self, at: str, reason: str) -> None:
        self.problems.append(Problem(at, reason))

    def word(self, body: Mapping[str, Any], name: str, at: str, *words: str) -> str:
        value = body.get(name, words[0])
        if isinstance(value, str) and value.upper() in words:
            return value.upper()
        self.problem(f"{at}{name}", f"value must be one of {','.join(words)}")
        return words[0]

    def entity(self, body: Mapping[str, Any], at: str) -> Entity:
        name = body.get("entity")
        spelt = snake(name).replace(" ", "") if isinstance(name, str) else ""
        found = ENTITIES.get(re.sub("_+", "_", spelt))
        if found is None:
            self.problem(f"{at}entity", f"value must be one of {','.join(ENTITIES)}")
            return ENTITIES["guest"]
        return found

    def types(self, body: Mapping[str, Any], at: str) -> tuple[str, ...]:
        given = body.get("type")
        words = [given] if isinstance(given, str) else given or []
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            self.problem(f"{at}type", "must be a string or an array of strings")
            return ()
        return tuple(word for word in words if word and word.upper() != "ALL")

    def rules(self, body: Mapping[str, Any], entity: Entity, at: str) -> tuple[Rule, ...]:
        given = body.get("rules", [])
        if not isinstance(given, list) or len(given) > MOST_RULES:
            self.problem(f"{at}rules", f"must be an array of at most {MOST_RULES}")
            return ()
        found = []
        for index, one in enumerate(given):
            rule = self.rule(one, entity, f"{at}rules[{index}].")
            if rule is not None:
                found.append(rule)
        return tuple(found)

    def rule(self, body: Any, entity: Entity, at: str) -> Rule | None:
        if not isinstance(body, dict):
            self.problem(at.rstrip("."), "must be an object")
            return None
        location = body.get("location") or CORE
        field = body.get("field")
        if not isinstance(location, str) or not isinstance(field, str) or not field:
            self.problem(f"{at}field", "may not be null." if field is None else NOT_VALID)
            return None
        rule = self._where(body, entity, location, field, at)
        comparator = COMPARATORS.get(str(body.get("comparator")).strip().lower())
        if comparator is None:
            self.problem(f"{at}comparator", f"value must be one of {','.join(COMPARATORS)}")
            return None
        if rule is None:
            return None
        if rule.type not in comparator.types:
            self.problem(f"{at}comparator", f"cannot compare a {rule.type}")
            return None
        return self._with_values(replace(rule, comparator=comparator), body, at)

    def _where(
        self, body: Mapping[str, Any], entity: Entity, location: str, field: str, at: str
    ) -> Rule | None:
        """The place of a rule and the type of what is there."""
        if location == CORE:
            known = entity.fields.get(snake(field))
            if known is not None:
                return Rule(CORE, known.name, BLANK, (), known.type, known.column, known.many)
            self.problem(f"{at}field", f"{entity.name} has no field {field}")
        elif location == TRAIT and entity.name == "guest":
            if field in self.traits:
                return Rule(TRAIT, field, BLANK, (), self.traits[field])
            self.problem(f"{at}field", f"there is no computed trait {field}")
        elif location == IDENTIFIER and entity.name == "guest":
            return Rule(IDENTIFIER, field, BLANK, (), STRING, many=True)
        else:
            return self._free(body, entity, location, field, at)
        return None

    def _free(
        self, body: Mapping[str, Any], entity: Entity, location: str, field: str, at: str
    ) -> Rule | None:
        """A pair of a data extension, or a free member of an event."""
        given = body.get("comparatorDataType") or STRING
        if given not in DATA_TYPES:
            self.problem(f"{at}comparatorDataType", f"value must be one of {','.join(DATA_TYPES)}")
        elif not _FREE_FIELD.fullmatch(field) or not _FREE_FIELD.fullmatch(location):
            self.problem(f"{at}field", NOT_VALID)
        elif entity.name == "session" or (entity.custom and location not in (CUSTOM, EXT)):
            self.problem(f"{at}location", f"{entity.name} has no location {location}")
        else:
            return Rule(location, field, BLANK, (), str(given), many=not entity.custom)
        return None

    def _with_values(self, rule: Rule, body: Mapping[str, Any], at: str) -> Rule | None:
        values = body.get("values")
        values = [] if values is None else values if isinstance(values, list) else [values]
        comparator = rule.comparator
        if comparator.test in ("past", "next", "plus", "minus"):
            reach = _reach(values)
            if reach is None:
                self.problem(
                    f"{at}values", "must be a number and one of days, weeks, months, years"
                )
                return None
            return replace(rule, values=reach)
        if not comparator.least <= len(values) <= comparator.most:
            wanted = str(comparator.least)
            wanted += f" to {comparator.most}" if comparator.most != comparator.least else ""
            self.problem(f"{at}values", f"must hold {wanted} values")
            return None
        try:
            return replace(rule, values=tuple(_value(rule.type, value) for value in values))
        except Refused as refused:
            self.problem(f"{at}values", refused.reason)
            return None

    def amount(self, body: Mapping[str, Any], name: str, at: str) -> Amount | None:
        given = body.get(name)
        if given is None:
            return None
        found = (
            COMPARATORS.get(str(given.get("comparator")).lower())
            if isinstance(given, dict)
            else None
        )
        if found is None or found.test not in COUNTING or NUMBER not in found.types:
            self.problem(f"{at}{name}.comparator", "must compare numbers")
            return None
        values = given.get("values", [given.get("value")])
        try:
            numbers = tuple(_value(NUMBER, value) for value in values)
        except (Refused, TypeError):
            numbers = ()
        if not found.least <= len(numbers) <= found.most:
            self.problem(f"{at}{name}.values", "must hold the numbers to compare with")
            return None
        return Amount(found.test, numbers, found.negative)

    def total(self, body: Mapping[str, Any], group: Group, at: str) -> Group:
        amount = self.amount(body, "sum", at)
        if amount is None:
            return group
        given = body["sum"]
        known = group.entity.fields.get(snake(str(given.get("field"))))
        if known is None or known.type != NUMBER:
            self.problem(f"{at}sum.field", "must be a number of the entity")
            return group
        currency = given.get("currency")
        if known.name in MONEY and not isinstance(currency, str):
            self.problem(f"{at}sum.currency", "may not be null.")
            return group
        return replace(group, total=amount, total_column=known.column, currency=currency)

    def sequence(self, body: Mapping[str, Any], at: str) -> tuple[Step, ...]:
        given = body.get("sequence")
        if given is None:
            return ()
        if not isinstance(given, list) or not 2 <= len(given) <= MOST_STEPS:
            self.problem(f"{at}sequence", f"must be an array of 2 to {MOST_STEPS} steps")
            return ()
        steps = []
        for index, one in enumerate(given):
            where = f"{at}sequence[{index}]."
            if not isinstance(one, dict):
                self.problem(where.rstrip("."), "must be an object")
                continue
            entity = self.entity(one, where)
            if entity.name == "guest":
                self.problem(f"{where}entity", "must be something that happens")
            days = one.get("withinDays")
            if days is not None and (
                not isinstance(days, int | Decimal | float)
                or isinstance(days, bool)
                or not 0 < days <= FARTHEST
            ):
                self.problem(f"{where}withinDays", f"must be above 0 and at most {FARTHEST}")
                days = None
            within = None if days is None else timedelta(days=float(days))
            absent = one.get("absent", False) is True
            if absent and index != len(given) - 1:
                self.problem(f"{where}absent", "is for the last step alone")
            types = self.types(one, where)
            operator = self.word(one, "ruleOperator", where, AND, OR)
            rules = self.rules(one, entity, where)
            steps.append(Step(entity, types, operator, rules, within, absent))
        return tuple(steps)

    def group(self, body: Any, at: str) -> Group | None:
        if not isinstance(body, dict):
            self.problem(at.rstrip("."), "must be an object")
            return None
        sequence = self.sequence(body, at)
        entity = sequence[0].entity if sequence else self.entity(body, at)
        group = Group(
            entity,
            self.types(body, at),
            self.word(body, "ruleOperator", at, AND, OR),
            self.rules(body, entity, at),
            self.word(body, "filterGroupType", at, INCLUDE, EXCLUDE) == EXCLUDE,
            sequence=sequence,
        )
        if entity.name != "guest":
            group = replace(group, count=self.amount(body, "count", at))
            group = self.total(body, group, at)
        elif body.get("count") or body.get("sum"):
            self.problem(f"{at}count", "is for what guests have, not for guests")
        if sequence and (group.rules or group.count or group.total):
            self.problem(f"{at}sequence", "stands alone: put rules into its steps")
        return group


def read(body: Mapping[str, Any], traits: Mapping[str, str] | None = None) -> Definition:
    """A definition of its JSON; raises `Invalid` with every problem.

    `traits`: the computed traits there are, with their types.
    """
    reader = _Reader(traits or {})
    retired = body.get("retired", False) is True
    sql = body.get("sql")
    if sql is not None:
        if not isinstance(sql, str) or not sql.strip():
            raise Invalid(Problem("definition.sql", "must be a SELECT statement"))
        return Definition(retired=retired, sql=storable(sql))
    given = body.get("filterGroups")
    if not isinstance(given, list) or not 0 < len(given) <= MOST_GROUPS:
        reason = f"must be an array of 1 to {MOST_GROUPS} groups"
        raise Invalid(Problem("definition.filterGroups", reason))
    groups = [
        reader.group(one, f"definition.filterGroups[{index}].") for index, one in enumerate(given)
    ]
    operator = reader.word(body, "operator", "definition.", AND, OR)
    if reader.problems:
        raise Invalid(*reader.problems)
    return Definition(tuple(group for group in groups if group), operator, retired)


def traits_in(definition: Definition) -> set[str]:
    """The names of the computed traits that a definition asks for."""
    rules = (rule for group in definition.groups for rule in group.rules)
    return {rule.field for rule in rules if rule.location == TRAIT}


def resolved(definition: Definition, now: datetime) -> Definition:
    """The definition with every comparison of days between two instants, as of `now`."""

    def rules(those: Sequence[Rule]) -> tuple[Rule, ...]:
        return tuple(_absolute(rule, now) for rule in those)

    groups = tuple(
        replace(
            group,
            rules=rules(group.rules),
            sequence=tuple(replace(step, rules=rules(step.rules)) for step in group.sequence),
        )
        for group in definition.groups
    )
    return replace(definition, groups=groups)


def _absolute(rule: Rule, now: datetime) -> Rule:
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
    """A day some units away, then some days; the last of a month that is shorter."""
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


def _reach(values: Sequence[Any]) -> tuple[int, str] | None:
    """`[3, "days"]`: a number of units."""
    if len(values) != 2:
        return None
    number, unit = values
    if isinstance(number, str) and number.isascii() and number.isdigit():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= FARTHEST:
        return None
    unit = unit.lower() if isinstance(unit, str) else ""
    return (number, unit) if unit in UNITS else None


def _value(kind: str, value: Any) -> Any:
    """A value to compare with; numbers and days may come as text, as builders send them."""
    if kind == STRING:
        if not isinstance(value, str):
            raise Refused("must be a string")
        return storable(value)
    if kind == TIMESTAMP:
        return instant(value).date()
    if kind == NUMBER and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise Refused("must be a number") from None
        if math.isfinite(number):
            return number
    raise Refused("must be a boolean" if kind == BOOLEAN else "must be a number")
