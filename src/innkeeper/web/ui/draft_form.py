"""The segment builder's form as it is sent: its fields, and what its buttons do."""

from collections.abc import Mapping
from typing import Any, Final

from innkeeper.resources.segments import ENTITIES
from innkeeper.rules.segment_reading import MOST_GROUPS, MOST_RULES, MOST_STEPS
from innkeeper.web.ui.draft import SEQUENCE, UNITS, Draft, GroupRow, RuleRow, StepRow

_RULE: Final = ("field", "comparator", "first", "second")


def read(form: Mapping[str, Any]) -> Draft:
    """The form as it was sent, after the button that was pressed did its work."""
    draft = Draft(text(form, "name"), text(form, "operator") or "AND")
    if "sql" in form:
        draft.sql = text(form, "sql")
        return draft
    for index in range(MOST_GROUPS):
        at = f"g{index}."
        if f"{at}entity" not in form:
            break
        draft.groups.append(_group(form, at))
    _press(draft, text(form, "do"))
    return draft


def rules(form: Mapping[str, Any], at: str) -> list[RuleRow]:
    """The rules whose fields begin with `at`, each with a comparator that its type has."""
    rows = []
    for index in range(MOST_RULES):
        here = f"{at}r{index}."
        if f"{here}field" not in form:
            break
        row = RuleRow(*(text(form, here + name) for name in _RULE))
        if row.comparator not in row.comparators:
            row.comparator, row.first, row.second = row.comparators[0], "", ""
        if row.has_unit and row.second not in UNITS:
            row.second = UNITS[0]
        rows.append(row)
    return rows


def _group(form: Mapping[str, Any], at: str) -> GroupRow:
    group = GroupRow(
        text(form, f"{at}entity"),
        text(form, f"{at}kind") == "EXCLUDE",
        text(form, f"{at}type"),
        text(form, f"{at}operator") or "AND",
        text(form, f"{at}count_comparator"),
        text(form, f"{at}count"),
    )
    if group.entity == SEQUENCE:
        group.steps = _steps(form, at)
    elif group.entity not in ENTITIES or group.entity != text(form, f"{at}was"):
        # Another entity has other fields: nothing of the rules can stay.
        return GroupRow(group.entity if group.entity in ENTITIES else "guest", group.exclude)
    else:
        group.rules = rules(form, at)
        _read_total(form, at, group)
    return group


def _read_total(form: Mapping[str, Any], at: str, group: GroupRow) -> None:
    if f"{at}total" not in form:
        return
    group.total = text(form, f"{at}total")
    group.total_comparator = text(form, f"{at}total_comparator")
    group.total_value = text(form, f"{at}total_value")
    group.currency = text(form, f"{at}currency").upper()


def _steps(form: Mapping[str, Any], at: str) -> list[StepRow]:
    rows = []
    for index in range(MOST_STEPS):
        here = f"{at}s{index}."
        if f"{here}what" not in form:
            break
        row = StepRow(
            text(form, f"{here}what"),
            text(form, f"{here}days"),
            text(form, f"{here}then") == "not",
            text(form, f"{here}operator") or "AND",
        )
        if row.entity == text(form, f"{here}was"):
            row.rules = rules(form, here)
        rows.append(row)
    return rows


def _press(draft: Draft, do: str) -> None:
    word, *numbers = do.split(":")
    at = [int(number) for number in numbers if number.isascii() and number.isdecimal()]
    if word == "add-group":
        draft.groups.append(_fresh(do.partition(":")[2]))
        draft.focus = f"g{len(draft.groups) - 1}.kind"
    elif at and at[0] < len(draft.groups):
        group = draft.groups[at[0]]
        if word == "drop-group":
            draft.groups.remove(group)
            draft.focus = "add-group"
        elif word in ("add-total", "drop-total"):
            _press_total(draft, group, word, f"g{at[0]}.")
        elif word in ("add-rule", "drop-rule"):
            _press_rule(draft, group, word, at)
        elif word in ("add-step", "drop-step"):
            _press_step(draft, group, word, at)


def _press_total(draft: Draft, group: GroupRow, word: str, at: str) -> None:
    if word == "drop-total":
        group.total, draft.focus = None, f"{at}add"
        return
    group.total = next(iter(group.numbers), "")
    group.currency = "EUR" if group.is_money else ""
    draft.focus = f"{at}total"


def _press_rule(draft: Draft, group: GroupRow, word: str, at: list[int]) -> None:
    """`add-rule:group`, `drop-rule:group:rule`; of a sequence with the step after the group."""
    here, rows, rest = f"g{at[0]}.", group.rules, at[1:]
    if group.entity == SEQUENCE:
        if not rest or rest[0] >= len(group.steps):
            return
        here, rows, rest = f"{here}s{rest[0]}.", group.steps[rest[0]].rules, rest[1:]
    if word == "add-rule":
        rows.append(RuleRow())
        draft.focus = f"{here}r{len(rows) - 1}.field"
    elif rest and rest[0] < len(rows):
        del rows[rest[0]]
        draft.focus = f"{here}add"


def _press_step(draft: Draft, group: GroupRow, word: str, at: list[int]) -> None:
    if word == "add-step":
        group.steps.append(StepRow("order:"))
        draft.focus = f"g{at[0]}.s{len(group.steps) - 1}.what"
    elif len(at) > 1 and at[1] < len(group.steps):
        del group.steps[at[1]]
        draft.focus = f"g{at[0]}.step"


def _fresh(entity: str) -> GroupRow:
    if entity == SEQUENCE:
        return GroupRow(SEQUENCE, steps=[StepRow("event:VIEW"), StepRow("event:ADD")])
    return GroupRow(entity if entity in ENTITIES else "guest")


def text(form: Mapping[str, Any], name: str) -> str:
    """A field of a form, without blanks around it; empty where it was not sent."""
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""
