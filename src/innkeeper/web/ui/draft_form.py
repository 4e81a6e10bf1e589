"""Read the fields of the segment builder's form, and apply the button that was pressed."""

from collections.abc import Mapping
from typing import Any, Final

from innkeeper.resources.definitions import MOST_GROUPS, MOST_RULES, MOST_STEPS
from innkeeper.resources.segments import ENTITIES
from innkeeper.resources.values import whole_in
from innkeeper.web.ui.draft import SEQUENCE, UNITS, Draft, GroupRow, RuleRow, StepRow

_RULE: Final = ("field", "comparator", "first", "second")


def read_form(form: Mapping[str, Any]) -> Draft:
    """Read the form's fields, and apply the button that was pressed."""
    draft = Draft(form_text(form, "name"), form_text(form, "operator") or "AND")
    if "sql" in form:
        draft.sql = form_text(form, "sql")
        return draft
    for index in range(MOST_GROUPS):
        prefix = f"g{index}."
        if f"{prefix}entity" not in form:
            break
        draft.groups.append(_group(form, prefix))
    _apply_button(draft, form_text(form, "do"))
    return draft


def read_rules(form: Mapping[str, Any], prefix: str) -> list[RuleRow]:
    """Read the rules whose fields begin with `prefix`; a comparator that the type lacks becomes the
    first of the type's."""
    rows = []
    for index in range(MOST_RULES):
        rule_prefix = f"{prefix}r{index}."
        if f"{rule_prefix}field" not in form:
            break
        row = RuleRow(*(form_text(form, rule_prefix + name) for name in _RULE))
        if row.comparator not in row.comparators:
            # A field of an unknown type has none; the definition names the type as wrong.
            row.comparator, row.first, row.second = next(iter(row.comparators), ""), "", ""
        if row.has_unit and row.second not in UNITS:
            row.second = UNITS[0]
        rows.append(row)
    return rows


def _group(form: Mapping[str, Any], prefix: str) -> GroupRow:
    group = GroupRow(
        form_text(form, f"{prefix}entity"),
        form_text(form, f"{prefix}kind") == "EXCLUDE",
        form_text(form, f"{prefix}type"),
        form_text(form, f"{prefix}operator") or "AND",
        form_text(form, f"{prefix}count_comparator"),
        form_text(form, f"{prefix}count"),
    )
    if group.entity == SEQUENCE:
        group.steps = _steps(form, prefix)
    elif group.entity not in ENTITIES or group.entity != form_text(form, f"{prefix}was"):
        # Another entity has other fields, so the rules are dropped.
        return GroupRow(group.entity if group.entity in ENTITIES else "guest", group.exclude)
    else:
        group.rules = read_rules(form, prefix)
        _read_total(form, prefix, group)
    return group


def _read_total(form: Mapping[str, Any], prefix: str, group: GroupRow) -> None:
    if f"{prefix}total" not in form:
        return
    group.total = form_text(form, f"{prefix}total")
    group.total_comparator = form_text(form, f"{prefix}total_comparator")
    group.total_value = form_text(form, f"{prefix}total_value")
    group.currency = form_text(form, f"{prefix}currency").upper()


def _steps(form: Mapping[str, Any], prefix: str) -> list[StepRow]:
    rows = []
    for index in range(MOST_STEPS):
        step_prefix = f"{prefix}s{index}."
        if f"{step_prefix}what" not in form:
            break
        row = StepRow(
            form_text(form, f"{step_prefix}what"),
            form_text(form, f"{step_prefix}days"),
            form_text(form, f"{step_prefix}then") == "not",
            form_text(form, f"{step_prefix}operator") or "AND",
        )
        if row.entity == form_text(form, f"{step_prefix}was"):
            row.rules = read_rules(form, step_prefix)
        rows.append(row)
    return rows


def _apply_button(draft: Draft, do: str) -> None:
    word, *numbers = do.split(":")
    indexes = [index for number in numbers if (index := whole_in(number)) is not None]
    if word == "add-group":
        draft.groups.append(_new_group(do.partition(":")[2]))
        draft.focus = f"g{len(draft.groups) - 1}.kind"
    elif indexes and indexes[0] < len(draft.groups):
        group = draft.groups[indexes[0]]
        if word == "drop-group":
            draft.groups.remove(group)
            draft.focus = "add-group"
        elif word in ("add-total", "drop-total"):
            _apply_to_total(draft, group, word, f"g{indexes[0]}.")
        elif word in ("add-rule", "drop-rule"):
            _apply_to_rules(draft, group, word, indexes)
        elif word in ("add-step", "drop-step"):
            _apply_to_steps(draft, group, word, indexes)


def _apply_to_total(draft: Draft, group: GroupRow, word: str, prefix: str) -> None:
    if word == "drop-total":
        group.total, draft.focus = None, f"{prefix}add"
        return
    group.total = next(iter(group.numbers), "")
    group.currency = "EUR" if group.is_money else ""
    draft.focus = f"{prefix}total"


def _apply_to_rules(draft: Draft, group: GroupRow, word: str, indexes: list[int]) -> None:
    """Apply `add-rule:group` or `drop-rule:group:rule`; in a sequence the step's index follows the
    group's."""
    prefix, rows, rest = f"g{indexes[0]}.", group.rules, indexes[1:]
    if group.entity == SEQUENCE:
        if not rest or rest[0] >= len(group.steps):
            return
        prefix, rows, rest = f"{prefix}s{rest[0]}.", group.steps[rest[0]].rules, rest[1:]
    if word == "add-rule":
        rows.append(RuleRow())
        draft.focus = f"{prefix}r{len(rows) - 1}.field"
    elif rest and rest[0] < len(rows):
        del rows[rest[0]]
        draft.focus = f"{prefix}add"


def _apply_to_steps(draft: Draft, group: GroupRow, word: str, indexes: list[int]) -> None:
    if word == "add-step":
        group.steps.append(StepRow("order:"))
        draft.focus = f"g{indexes[0]}.s{len(group.steps) - 1}.what"
    elif len(indexes) > 1 and indexes[1] < len(group.steps):
        del group.steps[indexes[1]]
        draft.focus = f"g{indexes[0]}.step"


def _new_group(entity: str) -> GroupRow:
    if entity == SEQUENCE:
        return GroupRow(SEQUENCE, steps=[StepRow("event:VIEW"), StepRow("event:ADD")])
    return GroupRow(entity if entity in ENTITIES else "guest")


def form_text(form: Mapping[str, Any], name: str) -> str:
    """Return a field of a form, trimmed; empty when the form lacks it."""
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""
