"""The segment builder: convert its form to a definition, and a definition to its form."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.segments import CORE, TIMESTAMP, TRAIT, entity_of, snake
from innkeeper.resources.values import ValueRefused, instant
from innkeeper.rules import segment_reading
from innkeeper.web.ui.draft import SEQUENCE, Draft, GroupRow, RuleRow, StepRow

_PROBLEM_POSITION: Final = re.compile(
    r"(?:definition\.)?filterGroups\[(\d+)\]\.?(?:sequence\[(\d+)\]\.?)?(?:rules\[(\d+)\]\.?)?(.*)"
)


def definition_of(draft: Draft) -> dict[str, Any]:
    """Convert the form to a definition; rules without a field are left out."""
    if draft.sql is not None:
        return {"sql": draft.sql}
    groups = [
        _sequence(group) if group.entity == SEQUENCE else _group(group) for group in draft.groups
    ]
    return {"operator": draft.operator, "filterGroups": groups}


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
    """Return how the names of the fields begin that a problem is about: `g0.r1.`; empty when it is
    about no group. Rules without a field are in the form, and not in the definition."""
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
    """Return `field_prefix` of each problem -> what is wrong there, in a sentence."""
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


def _group(group: GroupRow) -> dict[str, Any]:
    result: dict[str, Any] = {
        "entity": group.entity,
        "filterGroupType": "EXCLUDE" if group.exclude else "INCLUDE",
        "ruleOperator": group.operator,
        "rules": [rule_of(row) for row in group.rules if row.field],
        **type_member(group.type),
    }
    if group.count_comparator and group.entity != "guest":
        count = parse_number(group.count)
        result["count"] = {"comparator": group.count_comparator, "values": [count]}
    if group.total is not None:
        result["sum"] = {"field": group.total, "comparator": group.total_comparator}
        if group.is_money:
            result["sum"]["currency"] = group.currency or None
        result["sum"]["values"] = [parse_number(group.total_value)]
    return result


def type_member(text: str) -> dict[str, Any]:
    """Return the member `type` for comma-separated types of the form; no member for all types."""
    words = text.split(",")
    return {"type": words if len(words) > 1 else text} if text else {}


def _sequence(group: GroupRow) -> dict[str, Any]:
    steps = [_step(row, index, len(group.steps) - 1) for index, row in enumerate(group.steps)]
    return {"filterGroupType": "EXCLUDE" if group.exclude else "INCLUDE", "sequence": steps}


def _step(row: StepRow, index: int, last: int) -> dict[str, Any]:
    step: dict[str, Any] = {"entity": row.entity, **type_member(row.type)}
    rules = [rule_of(each) for each in row.rules if each.field]
    if rules:
        step |= {"ruleOperator": row.operator, "rules": rules}
    if row.days and index:
        step["withinDays"] = parse_number(row.days)
    if row.absent and index == last:
        step["absent"] = True
    return step


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
    result = {"location": row.location, "field": row.name, "comparator": row.comparator}
    return result | {"values": values, "comparatorDataType": row.type}


def draft_of(name: str, definition: Mapping[str, Any], traits: Mapping[str, str]) -> Draft:
    """Convert a definition to the form; `traits`: name of each computed trait -> type."""
    if definition.get("sql") is not None:
        return Draft(name, sql=str(definition["sql"]))
    draft = Draft(name, str(definition.get("operator", "AND")).upper())
    for group in definition.get("filterGroups", ()):
        count = group.get("count") or {}
        row = GroupRow(
            _entity(group),
            str(group.get("filterGroupType", "")).upper() == "EXCLUDE",
            type_of(group),
            str(group.get("ruleOperator", "AND")).upper(),
            str(count.get("comparator", "")).lower(),
            str((count.get("values") or [count.get("value", "")])[0]),
        )
        row.rules = [rule_row(row.entity, each, traits) for each in group.get("rules") or ()]
        _set_total(row, group.get("sum") or {})
        if group.get("sequence"):
            row.entity = SEQUENCE
            row.steps = [_step_row(step, traits) for step in group["sequence"]]
        draft.groups.append(row)
    return draft


def _entity(part: Mapping[str, Any]) -> str:
    entity = entity_of(part.get("entity"))
    return entity.name if entity else "guest"


def type_of(part: Mapping[str, Any]) -> str:
    """Return the types of a group, step or trait as the form holds them, separated by commas."""
    kind = part.get("type") or ""
    return kind if isinstance(kind, str) else ",".join(kind)


def _set_total(row: GroupRow, total: Mapping[str, Any]) -> None:
    if total:
        row.total = snake(str(total.get("field", "")))
        row.currency = str(total.get("currency") or "")
        row.total_comparator = str(total.get("comparator", "")).lower()
        row.total_value = str((total.get("values") or [total.get("value", "")])[0])


def _step_row(step: Mapping[str, Any], traits: Mapping[str, str]) -> StepRow:
    entity, days = _entity(step), step.get("withinDays")
    return StepRow(
        f"{entity}:{type_of(step)}",
        "" if days is None else str(days),
        step.get("absent") is True,
        str(step.get("ruleOperator", "AND")).upper(),
        [rule_row(entity, each, traits) for each in step.get("rules") or ()],
    )


def rule_row(entity: str, rule: Mapping[str, Any], traits: Mapping[str, str]) -> RuleRow:
    """Convert a rule about an entity to a row of the form; `traits` as for `draft_of`."""
    location, name = str(rule.get("location") or CORE), str(rule["field"])
    kind = str(rule.get("comparatorDataType") or "string")
    if location == CORE:
        name = snake(name)
        declared = entity_of(entity)
        kind = declared.fields[name].type if declared and name in declared.fields else kind
    elif location == TRAIT:
        kind = traits.get(name, kind)
    row = RuleRow(f"{location}:{name}:{kind}", str(rule["comparator"]).strip().lower())
    member = rule.get("values")
    values = [
        _input_value(row, each) for each in (member if isinstance(member, list) else [member])
    ]
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
