"""Read segment definitions from JSON and name every problem (segmentation-and-export.md 1).

`resources/definitions.py` declares the members. Here is what they mean together.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from innkeeper.errors import Invalid, Problem, missing
from innkeeper.resources.definitions import (
    EXCLUDE,
    FARTHEST,
    MOST_GROUPS,
    SegmentAmount,
    SegmentDefinition,
    SegmentGroup,
    SegmentRule,
    SegmentStep,
    SegmentTotal,
)
from innkeeper.resources.payloads import ABSENT, Payload, read_members
from innkeeper.resources.segments import (
    BOOLEAN,
    COMPARATORS,
    CORE,
    CUSTOM,
    DATA_TYPES,
    EXT,
    IDENTIFIER,
    NOT_AN_ENTITY,
    NUMBER,
    STATIC_LIST,
    STRING,
    TIMESTAMP,
    TRAIT,
    UNITS,
    Comparator,
    Entity,
    NumberInText,
    snake,
)
from innkeeper.resources.values import NOT_VALID, ValueRefused, instant, storable
from innkeeper.rules.segments import (
    MONEY,
    Amount,
    Definition,
    FilterGroup,
    FilterRule,
    SequenceStep,
)

BLANK: Final = COMPARATORS["is null"]

_FREE_FIELD: Final = re.compile(r"[^\x00-\x1f\"\\$\[\]]{1,255}")


class DefinitionReader:
    """Reads JSON and collects every problem instead of stopping at the first.

    Members that are refused are left out of what is read, so that the others are checked too.
    """

    def __init__(self, traits: Mapping[str, str] | None = None) -> None:
        self.problems: list[Problem] = []
        self.traits = traits or {}
        """Computed trait -> its type."""

    def problem(self, at: str, reason: str) -> None:
        """Add a problem at a path in the JSON."""
        self.problems.append(Problem(at, reason))

    def members(self, payload: type[Payload], body: Any, at: str) -> dict[str, Any]:
        """Read the members of a part, whose path and a dot is `at`; absent ones are None."""
        if not isinstance(body, Mapping):
            self.problem(at.rstrip("."), "must be an object")
            return {}
        values = read_members(payload, body, self.problems, at)
        return {name: None if value is ABSENT else value for name, value in values.items()}

    def rows(self, values: Mapping[str, Any], at: str) -> FilterGroup | None:
        """Return what is tested of an entity's rows; None if the entity was refused.

        Empty types mean all. Event types are stored in upper case.
        """
        entity, words = values.get("entity"), values.get("type") or []
        if entity is not None and entity.name == "event":
            words = [word.strip().upper() for word in words]
        rules = tuple(
            rule
            for index, one in enumerate(values.get("rules") or ())
            if (rule := self.rule(one, entity, f"{at}rules[{index}].")) is not None
        )
        if entity is None:
            return None
        types = tuple(word for word in words if word and word.upper() != "ALL")
        if types and not entity.has_types:
            self.problem(f"{at}type", f"{entity.name}s have no types")
        return FilterGroup(entity, types, values.get("rule_operator", ""), rules)

    def rule(self, body: Any, entity: Entity | None, at: str) -> FilterRule | None:
        """Read one comparison: location, field, comparator, values."""
        values = self.members(SegmentRule, body, at)
        if entity is None or "field" not in values:
            return None
        rule = self._where(values, entity, at)
        comparator = COMPARATORS.get(values.get("comparator", ""))
        if rule is None or comparator is None:
            return None
        if rule.location == STATIC_LIST and comparator.test == "null":
            self.problem(f"{at}comparator", "value must be one of is true,is false")
            return None
        if rule.type not in comparator.types:
            self.problem(f"{at}comparator", f"cannot compare a {rule.type}")
            return None
        return self._with_values(rule, comparator, values["values"] or [], at)

    def _where(self, values: Mapping[str, Any], entity: Entity, at: str) -> FilterRule | None:
        """Return a rule with the location and type of its field, without comparator and values."""
        location, field = values.get("location") or CORE, values["field"]
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
        elif location == STATIC_LIST and entity.name == "guest":
            return FilterRule(STATIC_LIST, field, BLANK, (), BOOLEAN)
        else:
            data_type = values.get("comparator_data_type") or STRING
            return self._free(entity, location, field, data_type, at)
        return None

    def _free(
        self, entity: Entity, location: str, field: str, data_type: str, at: str
    ) -> FilterRule | None:
        """Return a rule on a pair of a data extension, or on a free member of an event."""
        if data_type not in DATA_TYPES:
            self.problem(f"{at}comparatorDataType", f"value must be one of {','.join(DATA_TYPES)}")
        elif not plain(field) or not plain(location):
            self.problem(f"{at}field", NOT_VALID)
        elif entity.name == "session" or (entity.custom and location not in (CUSTOM, EXT)):
            self.problem(f"{at}location", f"{entity.name} has no location {location}")
        else:
            return FilterRule(location, field, BLANK, (), data_type, many=not entity.custom)
        return None

    def _with_values(
        self, rule: FilterRule, comparator: Comparator, values: Sequence[Any], at: str
    ) -> FilterRule | None:
        if comparator.test in ("past", "next", "plus", "minus"):
            reach = _reach(values)
            if reach is None:
                reason = "must be a number and one of days, weeks, months, years"
                self.problem(f"{at}values", reason)
                return None
            return replace(rule, comparator=comparator, values=reach)
        if not self._check_number_of(values, comparator, at):
            return None
        try:
            read = tuple(_value(rule.type, value) for value in values)
        except ValueRefused as refused:
            self.problem(f"{at}values", refused.reason)
            return None
        return replace(rule, comparator=comparator, values=read)

    def _check_number_of(self, values: Sequence[Any], comparator: Comparator, at: str) -> bool:
        if comparator.least <= len(values) <= comparator.most:
            return True
        number = str(comparator.least)
        number += f" to {comparator.most}" if comparator.most != comparator.least else ""
        self.problem(f"{at}values", f"must hold {number} values")
        return False

    def amount(self, values: Mapping[str, Any], at: str) -> Amount | None:
        """Return the test of a number: the group's `count` or `sum`."""
        comparator = COMPARATORS.get(values.get("comparator", ""))
        if comparator is None or not {"values", "value"} <= values.keys():
            return None
        number = values["value"]
        numbers = values["values"] or ([] if number is None else [number])
        if not self._check_number_of(numbers, comparator, at):
            return None
        return Amount(comparator.test, tuple(numbers), comparator.negative)

    def with_total(self, body: Any, group: FilterGroup, at: str) -> FilterGroup:
        """Add the test of a sum to a group; money needs a currency."""
        values = self.members(SegmentTotal, body, at)
        amount = self.amount(values, at)
        if "field" not in values:
            return group
        declared = group.entity.fields.get(snake(values["field"]))
        if declared is None or declared.type != NUMBER:
            self.problem(f"{at}field", "must be a number of the entity")
            return group
        currency = values.get("currency")
        if declared.name in MONEY and currency is None:
            self.problems.append(missing(f"{at}currency"))
        return replace(group, total=amount, total_column=declared.column, currency=currency)

    def sequence(self, bodies: Sequence[Any], at: str) -> tuple[SequenceStep, ...]:
        """Read the steps of a sequence."""
        steps = []
        for index, one in enumerate(bodies):
            step = self.step(one, f"{at}sequence[{index}].")
            if step is not None:
                if step.absent and index != len(bodies) - 1:
                    self.problem(f"{at}sequence[{index}].absent", "is for the last step alone")
                steps.append(step)
        return tuple(steps)

    def step(self, body: Any, at: str) -> SequenceStep | None:
        """Read one step of a sequence."""
        values = self.members(SegmentStep, body, at)
        rows = self.rows(values, at)
        if rows is None:
            return None
        if rows.entity.name == "guest":
            self.problem(f"{at}entity", "must be something that happens")
        days = values.get("within_days")
        within = None if days is None else timedelta(days=float(days))
        absent = values.get("absent") is True
        return SequenceStep(rows.entity, rows.types, rows.operator, rows.rules, within, absent)

    def group(self, body: Any, at: str) -> FilterGroup | None:
        """Read one group: rules on rows of an entity, or a sequence."""
        values = self.members(SegmentGroup, body, at)
        steps = self.sequence(values.get("sequence") or (), at)
        if steps:
            values["entity"] = steps[0].entity
        elif all(values.get(name, body) is None for name in ("entity", "sequence")):
            # A refused one is not in `values`, and its problem is already added.
            self.problem(f"{at}entity", NOT_AN_ENTITY)
        group = self.rows(values, at)
        if group is None:
            return None
        is_excluded = values.get("filter_group_type") == EXCLUDE
        group = self._with_numbers(replace(group, exclude=is_excluded, sequence=steps), values, at)
        if steps and (group.rules or group.count or group.total):
            self.problem(f"{at}sequence", "takes no other members: put rules into its steps")
        return group

    def _with_numbers(self, group: FilterGroup, values: Mapping[str, Any], at: str) -> FilterGroup:
        """Add the tests of the number and the sum of rows to a group."""
        count, total = values.get("count"), values.get("sum")
        if group.entity.name == "guest":
            if count or total:
                self.problem(f"{at}count", "is for what guests have, not for guests")
            return group
        if count is not None:
            at_count = f"{at}count."
            amount = self.amount(self.members(SegmentAmount, count, at_count), at_count)
            group = replace(group, count=amount)
        return group if total is None else self.with_total(total, group, f"{at}sum.")


def plain(name: str) -> bool:
    """Whether a rule may use an undeclared field, whose name becomes part of a path."""
    return bool(_FREE_FIELD.fullmatch(name))


def read(body: Mapping[str, Any], traits: Mapping[str, str] | None = None) -> Definition:
    """Read a definition from JSON; raises `Invalid` with every problem.

    `traits`: computed trait -> its type.
    """
    reader = DefinitionReader(traits)
    values = reader.members(SegmentDefinition, body, "definition.")
    sql = values.get("sql")
    groups = [
        reader.group(one, f"definition.filterGroups[{index}].")
        for index, one in enumerate(values.get("filter_groups") or () if sql is None else ())
    ]
    if sql is not None and not sql.strip():
        reader.problem("definition.sql", "must be a SELECT statement")
    elif sql is None and not groups and not reader.problems:
        reason = f"must be an array of 1 to {MOST_GROUPS} groups"
        reader.problem("definition.filterGroups", reason)
    if reader.problems:
        raise Invalid(*reader.problems)
    retired = values.get("retired") is True
    return Definition(tuple(group for group in groups if group), values["operator"], retired, sql)


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
    if kind == NUMBER:
        return NumberInText().read(value)
    raise ValueRefused("must be a boolean")
