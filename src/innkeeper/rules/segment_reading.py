"""Definitions of segments as JSON: read, every problem named (segmentation-and-export.md 1)."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from innkeeper.errors import Invalid, Problem
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
    Entity,
    snake,
)
from innkeeper.resources.values import NOT_VALID, ValueRefused, instant, storable
from innkeeper.rules.segments import (
    AND,
    MONEY,
    OR,
    Amount,
    Definition,
    FilterGroup,
    FilterRule,
    SequenceStep,
)

INCLUDE: Final = "INCLUDE"
EXCLUDE: Final = "EXCLUDE"
MOST_GROUPS: Final = 50
MOST_RULES: Final = 100
MOST_STEPS: Final = 10
FARTHEST: Final = 10_000
"""Largest number of days, weeks, months or years."""
BLANK: Final = COMPARATORS["is null"]

_FREE_FIELD: Final = re.compile(r"[^\x00-\x1f\"\\$\[\]]{1,255}")


class _Reader:
    """Reads JSON; notes every problem instead of stopping at the first."""

    def __init__(self, traits: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.traits = traits

    def problem(self, at: str, reason: str) -> None:
        """Note what is wrong, and where in the JSON."""
        self.problems.append(Problem(at, reason))

    def word(self, body: Mapping[str, Any], name: str, at: str, *words: str) -> str:
        """A member that is one of some words; the first where it is absent."""
        value = body.get(name, words[0])
        if isinstance(value, str) and value.upper() in words:
            return value.upper()
        self.problem(f"{at}{name}", f"value must be one of {','.join(words)}")
        return words[0]

    def entity(self, body: Mapping[str, Any], at: str) -> Entity:
        """The entity; noted, and the guest, where there is none of that name."""
        found = entity_of(body.get("entity"))
        if found is None:
            self.problem(f"{at}entity", f"value must be one of {','.join(ENTITIES)}")
            return ENTITIES["guest"]
        return found

    def types(self, body: Mapping[str, Any], entity: Entity, at: str) -> tuple[str, ...]:
        """The subtypes of a group; none means all. Those of events are stored in upper case."""
        given = body.get("type")
        words = [given] if isinstance(given, str) else given or []
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            self.problem(f"{at}type", "must be a string or an array of strings")
            return ()
        if entity.name == "event":
            words = [word.strip().upper() for word in words]
        return tuple(word for word in words if word and word.upper() != "ALL")

    def rules(self, body: Mapping[str, Any], entity: Entity, at: str) -> tuple[FilterRule, ...]:
        """The rules of a group or step that could be read."""
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

    def rule(self, body: Any, entity: Entity, at: str) -> FilterRule | None:
        """One comparison: place, field, comparator, values."""
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
    ) -> FilterRule | None:
        """The place of a rule and the type of what is there."""
        if location == CORE:
            known = entity.fields.get(snake(field))
            if known is not None:
                return FilterRule(CORE, known.name, BLANK, (), known.type, known.column, known.many)
            self.problem(f"{at}field", f"{entity.name} has no field {field}")
        elif location == TRAIT and entity.name == "guest":
            if field in self.traits:
                return FilterRule(TRAIT, field, BLANK, (), self.traits[field])
            self.problem(f"{at}field", f"there is no computed trait {field}")
        elif location == IDENTIFIER and entity.name == "guest":
            return FilterRule(IDENTIFIER, field, BLANK, (), STRING, many=True)
        else:
            return self._free(body, entity, location, field, at)
        return None

    def _free(
        self, body: Mapping[str, Any], entity: Entity, location: str, field: str, at: str
    ) -> FilterRule | None:
        """A pair of a data extension, or a free member of an event."""
        given = body.get("comparatorDataType") or STRING
        if given not in DATA_TYPES:
            self.problem(f"{at}comparatorDataType", f"value must be one of {','.join(DATA_TYPES)}")
        elif not plain(field) or not plain(location):
            self.problem(f"{at}field", NOT_VALID)
        elif entity.name == "session" or (entity.custom and location not in (CUSTOM, EXT)):
            self.problem(f"{at}location", f"{entity.name} has no location {location}")
        else:
            return FilterRule(location, field, BLANK, (), str(given), many=not entity.custom)
        return None

    def _with_values(self, rule: FilterRule, body: Mapping[str, Any], at: str) -> FilterRule | None:
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
        except ValueRefused as refused:
            self.problem(f"{at}values", refused.reason)
            return None

    def amount(self, body: Mapping[str, Any], name: str, at: str) -> Amount | None:
        """A test of a number: the group's `count` or `sum`."""
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
        except (ValueRefused, TypeError):
            numbers = ()
        if not found.least <= len(numbers) <= found.most:
            self.problem(f"{at}{name}.values", "must hold the numbers to compare with")
            return None
        return Amount(found.test, numbers, found.negative)

    def total(self, body: Mapping[str, Any], group: FilterGroup, at: str) -> FilterGroup:
        """The group with what its rows must add up to; money in one currency only."""
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

    def sequence(self, body: Mapping[str, Any], at: str) -> tuple[SequenceStep, ...]:
        """The steps of a sequence; none where the group is not one."""
        given = body.get("sequence")
        if given is None:
            return ()
        if not isinstance(given, list) or not 2 <= len(given) <= MOST_STEPS:
            self.problem(f"{at}sequence", f"must be an array of 2 to {MOST_STEPS} steps")
            return ()
        steps = []
        for index, one in enumerate(given):
            step = self.step(one, f"{at}sequence[{index}].")
            if step is not None:
                if step.absent and index != len(given) - 1:
                    self.problem(f"{at}sequence[{index}].absent", "is for the last step alone")
                steps.append(step)
        return tuple(steps)

    def step(self, body: Any, at: str) -> SequenceStep | None:
        """One step of a sequence."""
        if not isinstance(body, dict):
            self.problem(at.rstrip("."), "must be an object")
            return None
        entity = self.entity(body, at)
        if entity.name == "guest":
            self.problem(f"{at}entity", "must be something that happens")
        days = body.get("withinDays")
        if days is not None and (
            not isinstance(days, int | Decimal | float)
            or isinstance(days, bool)
            or not 0 < days <= FARTHEST
        ):
            self.problem(f"{at}withinDays", f"must be above 0 and at most {FARTHEST}")
            days = None
        return SequenceStep(
            entity,
            self.types(body, entity, at),
            self.word(body, "ruleOperator", at, AND, OR),
            self.rules(body, entity, at),
            None if days is None else timedelta(days=float(days)),
            body.get("absent", False) is True,
        )

    def group(self, body: Any, at: str) -> FilterGroup | None:
        """One group: rows of an entity, or a sequence."""
        if not isinstance(body, dict):
            self.problem(at.rstrip("."), "must be an object")
            return None
        sequence = self.sequence(body, at)
        entity = sequence[0].entity if sequence else self.entity(body, at)
        group = FilterGroup(
            entity,
            self.types(body, entity, at),
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


def entity_of(name: Any) -> Entity | None:
    """The entity of that name, however it is spelt: `order_item`, `orderItem`, `Order Item`."""
    spelt = snake(name).replace(" ", "") if isinstance(name, str) else ""
    return ENTITIES.get(re.sub("_+", "_", spelt))


def plain(name: str) -> bool:
    """Whether a free field may be asked for: its name is part of a path."""
    return bool(_FREE_FIELD.fullmatch(name))


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
    return (number, f"{unit.removesuffix('s')}s") if unit in UNITS else None


def _value(kind: str, value: Any) -> Any:
    """A value to compare with; numbers and days may come as text, as builders send them."""
    if kind == STRING:
        if not isinstance(value, str):
            raise ValueRefused("must be a string")
        return storable(value)
    if kind == TIMESTAMP:
        return instant(value).date()
    if kind == NUMBER and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueRefused("must be a number") from None
        if math.isfinite(number):
            return number
    raise ValueRefused("must be a boolean" if kind == BOOLEAN else "must be a number")
