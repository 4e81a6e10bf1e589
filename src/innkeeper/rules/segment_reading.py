"""Read segment definitions from JSON and name every problem (segmentation-and-export.md 1)."""

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
    """Reads JSON and collects every problem instead of stopping at the first."""

    def __init__(self, traits: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.traits = traits

    def problem(self, at: str, reason: str) -> None:
        """Add a problem at a path in the JSON."""
        self.problems.append(Problem(at, reason))

    def word(self, body: Mapping[str, Any], name: str, at: str, *words: str) -> str:
        """Read a member that is one of some words; the first word is the default."""
        value = body.get(name, words[0])
        if isinstance(value, str) and value.upper() in words:
            return value.upper()
        self.problem(f"{at}{name}", f"value must be one of {','.join(words)}")
        return words[0]

    def entity(self, body: Mapping[str, Any], at: str) -> Entity:
        """Read the entity; adds a problem and returns the guest if there is no such entity."""
        entity = entity_of(body.get("entity"))
        if entity is None:
            self.problem(f"{at}entity", f"value must be one of {','.join(ENTITIES)}")
            return ENTITIES["guest"]
        return entity

    def types(self, body: Mapping[str, Any], entity: Entity, at: str) -> tuple[str, ...]:
        """Read the subtypes of a group; empty means all. Event types are stored in upper case."""
        value = body.get("type")
        words = [value] if isinstance(value, str) else value or []
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            self.problem(f"{at}type", "must be a string or an array of strings")
            return ()
        if entity.name == "event":
            words = [word.strip().upper() for word in words]
        return tuple(word for word in words if word and word.upper() != "ALL")

    def rules(self, body: Mapping[str, Any], entity: Entity, at: str) -> tuple[FilterRule, ...]:
        """Read the rules of a group or step; invalid ones are left out."""
        value = body.get("rules", [])
        if not isinstance(value, list) or len(value) > MOST_RULES:
            self.problem(f"{at}rules", f"must be an array of at most {MOST_RULES}")
            return ()
        rules = []
        for index, one in enumerate(value):
            rule = self.rule(one, entity, f"{at}rules[{index}].")
            if rule is not None:
                rules.append(rule)
        return tuple(rules)

    def rule(self, body: Any, entity: Entity, at: str) -> FilterRule | None:
        """Read one comparison: location, field, comparator, values."""
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
        """Return a rule with the location and type of its field, without comparator and values."""
        if location == CORE:
            declared = entity.fields.get(snake(field))
            if declared is not None:
                name, kind, column = declared.name, declared.type, declared.column
                return FilterRule(CORE, name, BLANK, (), kind, column, declared.many)
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
        """Return a rule on a pair of a data extension, or on a free member of an event."""
        data_type = body.get("comparatorDataType") or STRING
        if data_type not in DATA_TYPES:
            self.problem(f"{at}comparatorDataType", f"value must be one of {','.join(DATA_TYPES)}")
        elif not plain(field) or not plain(location):
            self.problem(f"{at}field", NOT_VALID)
        elif entity.name == "session" or (entity.custom and location not in (CUSTOM, EXT)):
            self.problem(f"{at}location", f"{entity.name} has no location {location}")
        else:
            return FilterRule(location, field, BLANK, (), str(data_type), many=not entity.custom)
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
            number = str(comparator.least)
            number += f" to {comparator.most}" if comparator.most != comparator.least else ""
            self.problem(f"{at}values", f"must hold {number} values")
            return None
        try:
            return replace(rule, values=tuple(_value(rule.type, value) for value in values))
        except ValueRefused as refused:
            self.problem(f"{at}values", refused.reason)
            return None

    def amount(self, body: Mapping[str, Any], name: str, at: str) -> Amount | None:
        """Read the test of a number: the group's `count` or `sum`."""
        part = body.get(name)
        if part is None:
            return None
        comparator = (
            COMPARATORS.get(str(part.get("comparator")).lower()) if isinstance(part, dict) else None
        )
        if comparator is None or comparator.test not in COUNTING or NUMBER not in comparator.types:
            self.problem(f"{at}{name}.comparator", "must compare numbers")
            return None
        values = part.get("values", [part.get("value")])
        try:
            numbers = tuple(_value(NUMBER, value) for value in values)
        except (ValueRefused, TypeError):
            numbers = ()
        if not comparator.least <= len(numbers) <= comparator.most:
            self.problem(f"{at}{name}.values", "must hold the numbers to compare with")
            return None
        return Amount(comparator.test, numbers, comparator.negative)

    def total(self, body: Mapping[str, Any], group: FilterGroup, at: str) -> FilterGroup:
        """Add the test of a sum to a group; money needs a currency."""
        amount = self.amount(body, "sum", at)
        if amount is None:
            return group
        part = body["sum"]
        declared = group.entity.fields.get(snake(str(part.get("field"))))
        if declared is None or declared.type != NUMBER:
            self.problem(f"{at}sum.field", "must be a number of the entity")
            return group
        currency = part.get("currency")
        if declared.name in MONEY and not isinstance(currency, str):
            self.problem(f"{at}sum.currency", "may not be null.")
            return group
        return replace(group, total=amount, total_column=declared.column, currency=currency)

    def sequence(self, body: Mapping[str, Any], at: str) -> tuple[SequenceStep, ...]:
        """Read the steps of a sequence; empty if the group is not one."""
        value = body.get("sequence")
        if value is None:
            return ()
        if not isinstance(value, list) or not 2 <= len(value) <= MOST_STEPS:
            self.problem(f"{at}sequence", f"must be an array of 2 to {MOST_STEPS} steps")
            return ()
        steps = []
        for index, one in enumerate(value):
            step = self.step(one, f"{at}sequence[{index}].")
            if step is not None:
                if step.absent and index != len(value) - 1:
                    self.problem(f"{at}sequence[{index}].absent", "is for the last step alone")
                steps.append(step)
        return tuple(steps)

    def step(self, body: Any, at: str) -> SequenceStep | None:
        """Read one step of a sequence."""
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
        """Read one group: rules on rows of an entity, or a sequence."""
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
    """Return the entity of a name in any spelling: `order_item`, `orderItem`, `Order Item`."""
    spelt = snake(name).replace(" ", "") if isinstance(name, str) else ""
    return ENTITIES.get(re.sub("_+", "_", spelt))


def plain(name: str) -> bool:
    """Whether a rule may use an undeclared field, whose name becomes part of a path."""
    return bool(_FREE_FIELD.fullmatch(name))


def read(body: Mapping[str, Any], traits: Mapping[str, str] | None = None) -> Definition:
    """Read a definition from JSON; raises `Invalid` with every problem.

    `traits`: computed trait -> its type.
    """
    reader = _Reader(traits or {})
    retired = body.get("retired", False) is True
    sql = body.get("sql")
    if sql is not None:
        if not isinstance(sql, str) or not sql.strip():
            raise Invalid(Problem("definition.sql", "must be a SELECT statement"))
        return Definition(retired=retired, sql=storable(sql))
    value = body.get("filterGroups")
    if not isinstance(value, list) or not 0 < len(value) <= MOST_GROUPS:
        reason = f"must be an array of 1 to {MOST_GROUPS} groups"
        raise Invalid(Problem("definition.filterGroups", reason))
    groups = [
        reader.group(one, f"definition.filterGroups[{index}].") for index, one in enumerate(value)
    ]
    operator = reader.word(body, "operator", "definition.", AND, OR)
    if reader.problems:
        raise Invalid(*reader.problems)
    return Definition(tuple(group for group in groups if group), operator, retired)


def _reach(values: Sequence[Any]) -> tuple[int, str] | None:
    """Read a period such as `[3, "days"]`; None if it is invalid."""
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
    """Read a value to compare with; numbers and days may be text, as segment builders send them."""
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
