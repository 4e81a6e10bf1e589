"""The segment builder: convert its form to a definition, and a definition to its form."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import (
    EXCLUDE,
    INCLUDE,
    SegmentAmount,
    SegmentDefinition,
    SegmentGroup,
    SegmentRule,
    SegmentStep,
    SegmentTotal,
)
from innkeeper.resources.payloads import document_of, read_valid
from innkeeper.resources.segments import CORE, STRING, TIMESTAMP, TRAIT, entity_of, snake
from innkeeper.resources.values import ValueRefused, instant
from innkeeper.rules import segment_reading
from innkeeper.web.ui.draft import SEQUENCE, Draft, GroupRow, RuleRow, StepRow

_PROBLEM_POSITION: Final = re.compile(
    r"(?:definition\.)?filterGroups\[(\d+)\]\.?(?:sequence\[(\d+)\]\.?)?(?:rules\[(\d+)\]\.?)?(.*)"
)


def definition_of(draft: Draft) -> dict[str, Any]:
    """Convert the form to a definition; rules without a field are left out."""
    if draft.sql is not None:
        return document_of(SegmentDefinition, sql=draft.sql)
    groups = [_group(group) for group in draft.groups]
    return document_of(SegmentDefinition, operator=draft.operator, filter_groups=groups)


def definition_to_save(
    changed: Mapping[str, Any], before: Mapping[str, Any], traits: Mapping[str, str]
) -> Any:
    """Return the definition to store: `before`, unchanged, when `changed` means the same."""
    return before if _is_same(changed, before, traits) else changed


def fits(definition: Mapping[str, Any], traits: Mapping[str, str]) -> bool:
    """Whether the form can show all of a definition: opening and saving it loses nothing."""
    return _is_same(definition_of(draft_of("", definition, traits)), definition, traits)


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any], traits: Mapping[str, str]) -> bool:
    try:
        return segment_reading.read(one, traits) == segment_reading.read(other, traits)
    except Invalid:
        return False


def problem_in_form(problem: Problem) -> str:
    """Describe a problem by its position in the form: `Group 1, step 2, rule 1: …`."""
    match = _PROBLEM_POSITION.fullmatch(problem.field)
    if problem.position or match is None:
        return problem.reason[:1].upper() + problem.reason[1:]
    words = ("Group", "step", "rule")
    numbers = [
        f"{word} {int(number) + 1}"
        for word, number in zip(words, match.groups(), strict=False)
        if number is not None
    ]
    member = {"withinDays": "days", "comparatorDataType": "type"}.get(match[4], match[4])
    return f"{', '.join(numbers)}: {member.partition('.')[0]} {problem.reason}"


def field_prefix(draft: Draft, problem: Problem) -> str:
    """Return the prefix, such as `g0.r1.`, of the form's fields that a problem refers to; empty
    when it refers to no group. The form also has rules without a field, which the definition
    lacks."""
    match = _PROBLEM_POSITION.fullmatch(problem.field)
    if problem.position or match is None or int(match[1]) >= len(draft.groups):
        return ""
    group = draft.groups[int(match[1])]
    prefix, rules = f"g{match[1]}.", group.rules
    if match[2] is not None and int(match[2]) < len(group.steps):
        prefix, rules = f"{prefix}s{match[2]}.", group.steps[int(match[2])].rules
    indexes = [index for index, rule in enumerate(rules) if rule.field]
    if match[3] is not None and int(match[3]) < len(indexes):
        prefix += f"r{indexes[int(match[3])]}."
    return prefix


def problems_by_prefix(draft: Draft, problems: Iterable[Problem]) -> dict[str, str]:
    """Return `field_prefix` of each problem -> the problem as a sentence."""
    wrong: dict[str, str] = {}
    for problem in problems:
        prefix = field_prefix(draft, problem)
        if prefix:
            wrong.setdefault(prefix, _sentence(problem))
    return wrong


def missing_values(draft: Draft) -> list[Problem]:
    """Return a problem for each rule of the form whose value is not entered yet."""
    problems = []
    for index, group in enumerate(draft.groups):
        path = f"filterGroups[{index}]"
        lists = [(path, group.rules)]
        lists += [(f"{path}.sequence[{at}]", step.rules) for at, step in enumerate(group.steps)]
        for start, rules in lists:
            named = [rule for rule in rules if rule.field]
            problems += [
                Problem(f"{start}.rules[{at}].values", "may not be null.")
                for at, rule in enumerate(named)
                if rule.inputs and not rule.first
            ]
    return problems


def _sentence(problem: Problem) -> str:
    match = _PROBLEM_POSITION.fullmatch(problem.field)
    member = match[4].partition(".")[0].partition("[")[0] if match else ""
    if member == "values" and ("null" in problem.reason or "must hold" in problem.reason):
        return "Enter a value."
    if member == "values" and problem.reason.startswith("must be a"):
        return f"Enter {problem.reason.removeprefix('must be ').rstrip('.')}."
    subject = {"values": "The value", "withinDays": "The number of days", "count": "The number"} | {
        "sum": "The total",
        "rules": "A rule",
        "type": "The type",
        "field": "The field",
        "comparator": "The comparison",
    }
    return f"{subject.get(member, member.capitalize() or 'This')} {problem.reason.rstrip('.')}."


def _group(group: GroupRow) -> Record:
    inclusion = EXCLUDE if group.exclude else INCLUDE
    if group.entity == SEQUENCE:
        last = len(group.steps) - 1
        steps = [_step(row, index, last) for index, row in enumerate(group.steps)]
        return document_of(SegmentGroup, filter_group_type=inclusion, sequence=steps)
    count = total = None
    if group.count_comparator and group.entity != "guest":
        values = [parse_number(group.count)]
        count = document_of(SegmentAmount, comparator=group.count_comparator, values=values)
    if group.total is not None:
        total = document_of(
            SegmentTotal,
            field=group.total,
            comparator=group.total_comparator,
            currency=(group.currency or None) if group.is_money else None,
            values=[parse_number(group.total_value)],
        )
    return document_of(
        SegmentGroup,
        entity=group.entity,
        filter_group_type=inclusion,
        rule_operator=group.operator,
        rules=rules_of(group.rules),
        type=types_of(group.type),
        count=count,
        sum=total,
    )


def types_of(text: str) -> Any:
    """Return the types of a definition for comma-separated types of the form; None for all."""
    words = text.split(",")
    return words if len(words) > 1 else text or None


def _step(row: StepRow, index: int, last: int) -> Record:
    rules = rules_of(row.rules) or None
    return document_of(
        SegmentStep,
        entity=row.entity,
        type=types_of(row.type),
        rule_operator=row.operator if rules else None,
        rules=rules,
        within_days=parse_number(row.days) if row.days and index else None,
        absent=True if row.absent and index == last else None,
    )


def rules_of(rows: Iterable[RuleRow]) -> list[Record]:
    """Convert the rows of the form that have a field to rules."""
    return [rule_of(row) for row in rows if row.field]


def rule_of(row: RuleRow) -> dict[str, Any]:
    """Convert a row of the form to a rule."""
    values: list[Any] = [] if not row.inputs else [row.first]
    if row.has_unit:
        values = [parse_number(row.first), row.second]
    elif row.has_many:
        values = [word.strip() for word in row.first.split(",") if word.strip()]
    elif row.has_two:
        values = [row.first, row.second]
    if row.type == "number" and not row.has_unit:
        values = [parse_number(value) for value in values]
    return document_of(
        SegmentRule,
        location=row.location,
        field=row.name,
        comparator=row.comparator,
        values=values,
        comparator_data_type=row.type,
    )


def draft_of(name: str, definition: Mapping[str, Any], traits: Mapping[str, str]) -> Draft:
    """Convert a definition to the form; `traits`: name of each computed trait -> type."""
    stored = read_valid(SegmentDefinition, definition)
    if stored["sql"] is not None:
        return Draft(name, sql=stored["sql"])
    groups = [_group_row(each, traits) for each in stored["filter_groups"] or ()]
    return Draft(name, stored["operator"], groups)


def _group_row(group: Mapping[str, Any], traits: Mapping[str, str]) -> GroupRow:
    stored = read_valid(SegmentGroup, group)
    row = GroupRow(exclude=stored["filter_group_type"] == EXCLUDE)
    if stored["sequence"]:
        row.entity = SEQUENCE
        row.steps = [_step_row(step, traits) for step in stored["sequence"]]
        return row
    row.entity, row.type, row.operator, row.rules = rows_of(stored, traits)
    if stored["count"]:
        row.count_comparator, row.count = _amount(read_valid(SegmentAmount, stored["count"]))
    if stored["sum"]:
        total = read_valid(SegmentTotal, stored["sum"])
        row.total, row.currency = snake(total["field"] or ""), total["currency"] or ""
        row.total_comparator, row.total_value = _amount(total)
    return row


def _amount(stored: Mapping[str, Any]) -> tuple[str, str]:
    """Return the comparator of a test of a number, and its first number."""
    numbers = stored["values"] or [stored["value"]]
    number = "" if numbers[0] is None else str(parse_number(str(numbers[0])))
    return stored["comparator"] or "", number


def rows_of(
    stored: Mapping[str, Any], traits: Mapping[str, str]
) -> tuple[str, str, str, list[RuleRow]]:
    """Return entity, comma-separated types, operator and rules of a group, step or trait."""
    entity = stored["entity"].name if stored["entity"] else "guest"
    rules = [rule_row(entity, each, traits) for each in stored["rules"] or ()]
    return entity, ",".join(stored["type"] or ()), stored["rule_operator"], rules


def _step_row(step: Mapping[str, Any], traits: Mapping[str, str]) -> StepRow:
    stored = read_valid(SegmentStep, step)
    entity, types, operator, rules = rows_of(stored, traits)
    days = "" if stored["within_days"] is None else str(stored["within_days"])
    return StepRow(f"{entity}:{types}", days, stored["absent"] is True, operator, rules)


def rule_row(entity: str, rule: Mapping[str, Any], traits: Mapping[str, str]) -> RuleRow:
    """Convert a rule about an entity to a row of the form; `traits` as for `draft_of`."""
    stored = read_valid(SegmentRule, rule)
    location, name = stored["location"] or CORE, stored["field"] or ""
    kind = stored["comparator_data_type"] or STRING
    if location == CORE:
        name = snake(name)
        declared = entity_of(entity)
        kind = declared.fields[name].type if declared and name in declared.fields else kind
    elif location == TRAIT:
        kind = traits.get(name, kind)
    row = RuleRow(f"{location}:{name}:{kind}", stored["comparator"] or "")
    values = [_input_value(row, each) for each in stored["values"] or ()]
    if row.has_many:
        row.first = ", ".join(values)
    elif row.inputs:
        row.first, row.second = (*values, "", "")[:2]
    if row.has_unit:
        row.second = f"{row.second.lower().removesuffix('s')}s"
    return row


def _input_value(row: RuleRow, value: Any) -> str:
    """Convert a value for its input: of an instant the day, since segments compare days."""
    if value is None:
        return ""
    if row.type == TIMESTAMP and not row.has_unit:
        try:
            return instant(value).date().isoformat()
        except ValueRefused:
            return str(value)
    return str(value)


def parse_number(text: str) -> Any:
    """Parse a typed number; return the text itself when it is not a finite number."""
    try:
        value = float(text)
    except ValueError:
        return text
    if not math.isfinite(value):
        return text
    return int(value) if value == int(value) else value
