"""The segment builder: its form and the definition that it stands for, each made of the other."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.segments import CORE, TIMESTAMP, TRAIT, snake
from innkeeper.resources.values import ValueRefused, instant
from innkeeper.rules import segment_reading
from innkeeper.web.ui.draft import SEQUENCE, Draft, GroupRow, RuleRow, StepRow

_PROBLEM_POSITION: Final = re.compile(
    r"(?:definition\.)?filterGroups\[(\d+)\]\.?(?:sequence\[(\d+)\]\.?)?(?:rules\[(\d+)\]\.?)?(.*)"
)


def definition(draft: Draft) -> dict[str, Any]:
    """What the form means; rules without field are left out."""
    if draft.sql is not None:
        return {"sql": draft.sql}
    groups = [
        _sequence(group) if group.entity == SEQUENCE else _group(group) for group in draft.groups
    ]
    return {"operator": draft.operator, "filterGroups": groups}


def definition_to_save(
    told: Mapping[str, Any], before: Mapping[str, Any], traits: Mapping[str, str]
) -> Any:
    """The definition to keep: `before` to the letter where `told` asks for the same."""
    return before if _same(told, before, traits) else told


def fits(told: Mapping[str, Any], traits: Mapping[str, str]) -> bool:
    """Whether the form can show all of a definition: nothing is lost by opening and saving it."""
    return _same(definition(of("", told, traits)), told, traits)


def _same(one: Mapping[str, Any], other: Mapping[str, Any], traits: Mapping[str, str]) -> bool:
    try:
        return segment_reading.read(one, traits) == segment_reading.read(other, traits)
    except Invalid:
        return False


def problem_in_form(problem: Problem) -> str:
    """A problem of a definition in the words of the form: `Group 1, step 2, rule 1: …`."""
    found = _PROBLEM_POSITION.fullmatch(problem.field)
    if problem.position or found is None:
        return problem.reason[:1].upper() + problem.reason[1:]
    words = ("Group", "step", "rule")
    numbers = [
        f"{word} {int(number) + 1}"
        for word, number in zip(words, found.groups(), strict=False)
        if number is not None
    ]
    member = {"withinDays": "days", "comparatorDataType": "type"}.get(found[4], found[4])
    return f"{', '.join(numbers)}: {member.partition('.')[0]} {problem.reason}"


def _group(group: GroupRow) -> dict[str, Any]:
    told: dict[str, Any] = {
        "entity": group.entity,
        "filterGroupType": "EXCLUDE" if group.exclude else "INCLUDE",
        "ruleOperator": group.operator,
        "rules": [rule(row) for row in group.rules if row.field],
        **types(group.type),
    }
    if group.count_comparator and group.entity != "guest":
        told["count"] = {"comparator": group.count_comparator, "values": [number(group.count)]}
    if group.total is not None:
        told["sum"] = {"field": group.total, "comparator": group.total_comparator}
        if group.is_money:
            told["sum"]["currency"] = group.currency or None
        told["sum"]["values"] = [number(group.total_value)]
    return told


def types(text: str) -> dict[str, Any]:
    """The member `type` of what the form holds, with commas between types; none for all."""
    words = text.split(",")
    return {"type": words if len(words) > 1 else text} if text else {}


def _sequence(group: GroupRow) -> dict[str, Any]:
    steps = [_step(row, index, len(group.steps) - 1) for index, row in enumerate(group.steps)]
    return {"filterGroupType": "EXCLUDE" if group.exclude else "INCLUDE", "sequence": steps}


def _step(row: StepRow, index: int, last: int) -> dict[str, Any]:
    step: dict[str, Any] = {"entity": row.entity, **types(row.type)}
    rules = [rule(each) for each in row.rules if each.field]
    if rules:
        step |= {"ruleOperator": row.operator, "rules": rules}
    if row.days and index:
        step["withinDays"] = number(row.days)
    if row.absent and index == last:
        step["absent"] = True
    return step


def rule(row: RuleRow) -> dict[str, Any]:
    """A rule of its row."""
    values: list[Any] = [] if not row.inputs else [row.first]
    if row.has_unit:
        values = [number(row.first), row.second]
    elif row.has_many:
        values = [word.strip() for word in row.first.split(",") if word.strip()]
    elif row.has_two:
        values = [row.first, row.second]
    if row.type == "number" and not row.has_unit:
        values = [number(value) for value in values]
    told = {"location": row.location, "field": row.name, "comparator": row.comparator}
    return told | {"values": values, "comparatorDataType": row.type}


def of(name: str, told: Mapping[str, Any], traits: Mapping[str, str]) -> Draft:
    """The form of a definition; `traits`: the computed traits there are, with their types."""
    if told.get("sql") is not None:
        return Draft(name, sql=str(told["sql"]))
    draft = Draft(name, str(told.get("operator", "AND")).upper())
    for group in told.get("filterGroups", ()):
        count = group.get("count") or {}
        row = GroupRow(
            _entity(group),
            str(group.get("filterGroupType", "")).upper() == "EXCLUDE",
            type_of(group),
            str(group.get("ruleOperator", "AND")).upper(),
            str(count.get("comparator", "")).lower(),
            str((count.get("values") or [count.get("value", "")])[0]),
        )
        row.rules = [row_of(row.entity, each, traits) for each in group.get("rules") or ()]
        _of_total(row, group.get("sum") or {})
        if group.get("sequence"):
            row.entity = SEQUENCE
            row.steps = [_of_step(step, traits) for step in group["sequence"]]
        draft.groups.append(row)
    return draft


def _entity(told: Mapping[str, Any]) -> str:
    found = segment_reading.entity_of(told.get("entity"))
    return found.name if found else "guest"


def type_of(told: Mapping[str, Any]) -> str:
    """The types of a group, step or trait as the form holds them."""
    kind = told.get("type") or ""
    return kind if isinstance(kind, str) else ",".join(kind)


def _of_total(row: GroupRow, told: Mapping[str, Any]) -> None:
    if told:
        row.total, row.currency = snake(str(told.get("field", ""))), str(told.get("currency") or "")
        row.total_comparator = str(told.get("comparator", "")).lower()
        row.total_value = str((told.get("values") or [told.get("value", "")])[0])


def _of_step(told: Mapping[str, Any], traits: Mapping[str, str]) -> StepRow:
    entity, days = _entity(told), told.get("withinDays")
    return StepRow(
        f"{entity}:{type_of(told)}",
        "" if days is None else str(days),
        told.get("absent") is True,
        str(told.get("ruleOperator", "AND")).upper(),
        [row_of(entity, each, traits) for each in told.get("rules") or ()],
    )


def row_of(entity: str, told: Mapping[str, Any], traits: Mapping[str, str]) -> RuleRow:
    """The row of a rule about an entity."""
    location, name = str(told.get("location") or CORE), str(told["field"])
    kind = str(told.get("comparatorDataType") or "string")
    if location == CORE:
        name = snake(name)
        known = segment_reading.entity_of(entity)
        kind = known.fields[name].type if known and name in known.fields else kind
    elif location == TRAIT:
        kind = traits.get(name, kind)
    row = RuleRow(f"{location}:{name}:{kind}", str(told["comparator"]).strip().lower())
    given = told.get("values")
    values = [_input_value(row, value) for value in (given if isinstance(given, list) else [given])]
    if row.has_many:
        row.first = ", ".join(values)
    elif row.inputs:
        row.first, row.second = (*values, "", "")[:2]
    if row.has_unit:
        row.second = f"{row.second.lower().removesuffix('s')}s"
    return row


def _input_value(row: RuleRow, value: Any) -> str:
    """A value as its input holds it: of an instant the day, since days are compared."""
    if value is None:
        return ""
    if row.type == TIMESTAMP and not row.has_unit:
        try:
            return instant(value).date().isoformat()
        except ValueRefused:
            return str(value)
    return str(value)


def number(text: str) -> Any:
    """A number as it was typed; the text where it is none."""
    try:
        value = float(text)
    except ValueError:
        return text
    if not math.isfinite(value):
        return text
    return int(value) if value == int(value) else value
