"""The segment builder: a form and the definition it stands for, each made of the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from innkeeper.resources.segments import COMPARATORS, ENTITIES, NUMBER, TIMESTAMP, snake
from innkeeper.rules.segments import MONEY

COUNTS: Final = (
    ("", "any number of"),
    ("is greater than or equal to", "at least"),
    ("is less than or equal to", "at most"),
    ("is equal to", "exactly"),
)
TOTALS: Final = (
    ("is greater than or equal to", "at least"),
    ("is greater than", "more than"),
    ("is less than or equal to", "at most"),
    ("is less than", "less than"),
)
WORDS: Final = {
    "guest": "Guest",
    "session": "Session",
    "event": "Event",
    "order": "Order",
    "order_item": "Order item",
}
SEQUENCE: Final = "sequence"
"""What a group of steps is about, in the form."""
EXAMPLES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "lapsed": (
        "Bought twice, not back for 30 days",
        {
            "filterGroups": [
                {"entity": "order", "count": {"comparator": COUNTS[1][0], "values": [2]}},
                {
                    "entity": "session",
                    "filterGroupType": "EXCLUDE",
                    "rules": [
                        {
                            "field": "started_at",
                            "comparator": "is in the past",
                            "comparatorDataType": TIMESTAMP,
                            "values": [30, "days"],
                        }
                    ],
                },
            ]
        },
    ),
    "left": (
        "Viewed, added, did not buy within 7 days",
        {
            "filterGroups": [
                {
                    "sequence": [
                        {"entity": "event", "type": "VIEW"},
                        {"entity": "event", "type": "ADD", "withinDays": 1},
                        {"entity": "order", "absent": True, "withinDays": 7},
                    ]
                }
            ]
        },
    ),
    "spent": (
        "Spent 200 EUR or more in a year",
        {
            "filterGroups": [
                {
                    "entity": "order",
                    "sum": {
                        "field": "price",
                        "currency": "EUR",
                        "comparator": TOTALS[0][0],
                        "values": [200],
                    },
                    "rules": [
                        {
                            "field": "ordered_at",
                            "comparator": "is in the past",
                            "comparatorDataType": TIMESTAMP,
                            "values": [1, "years"],
                        }
                    ],
                }
            ]
        },
    ),
}
"""Segments to begin with: a name, and its definition."""
UNITS: Final = ("days", "weeks", "months", "years")
_DAYS: Final = frozenset({"past", "next", "plus", "minus"})
MOST: Final = 20


@dataclass(slots=True)
class RuleRow:
    """One rule as the form has it; `field` is location:name:type."""

    field: str = ""
    comparator: str = ""
    first: str = ""
    second: str = ""

    @property
    def type(self) -> str:
        return self.field.rpartition(":")[2] or "string"

    @property
    def comparators(self) -> list[str]:
        return [each.name for each in COMPARATORS.values() if self.type in each.types]

    @property
    def inputs(self) -> int:
        """How many inputs its comparator takes."""
        known = COMPARATORS.get(self.comparator)
        return 1 if known is None else min(known.most, 2)

    @property
    def has_unit(self) -> bool:
        known = COMPARATORS.get(self.comparator)
        return known is not None and known.test in _DAYS

    @property
    def input_type(self) -> str:
        if self.has_unit or self.type == "number":
            return "number"
        return "date" if self.type == TIMESTAMP else "text"


@dataclass(slots=True)
class StepRow:
    """One step of a sequence; `what` is entity:type."""

    what: str = "event:"
    days: str = ""
    absent: bool = False


@dataclass(slots=True)
class GroupRow:
    """One group as the form has it; `total` is the field that is added up."""

    entity: str = "guest"
    exclude: bool = False
    type: str = ""
    operator: str = "AND"
    count_comparator: str = ""
    count: str = ""
    rules: list[RuleRow] = field(default_factory=list)
    total: str | None = None
    total_comparator: str = TOTALS[0][0]
    total_value: str = ""
    currency: str = ""
    steps: list[StepRow] = field(default_factory=list)

    @property
    def is_money(self) -> bool:
        """Whether what is added up needs a currency."""
        return snake(self.total or "") in MONEY

    @property
    def numbers(self) -> list[str]:
        """Fields that can be added up."""
        known = ENTITIES[self.entity].fields.values() if self.entity in ENTITIES else ()
        return [each.name for each in known if each.type == NUMBER]


@dataclass(slots=True)
class Draft:
    """The whole form."""

    name: str = ""
    operator: str = "AND"
    groups: list[GroupRow] = field(default_factory=list)
    sql: str | None = None


def read(form: Mapping[str, Any]) -> Draft:
    """The form as it was sent, after the button that was pressed did its work."""
    draft = Draft(_text(form, "name"), _text(form, "operator") or "AND")
    if "sql" in form:
        draft.sql = _text(form, "sql")
        return draft
    for index in range(MOST):
        at = f"g{index}."
        if f"{at}entity" not in form:
            break
        group = GroupRow(
            _text(form, f"{at}entity"),
            _text(form, f"{at}kind") == "EXCLUDE",
            _text(form, f"{at}type"),
            _text(form, f"{at}operator") or "AND",
            _text(form, f"{at}count_comparator"),
            _text(form, f"{at}count"),
        )
        if group.entity == SEQUENCE:
            group.steps = _steps(form, at)
        elif group.entity not in ENTITIES or group.entity != _text(form, f"{at}was"):
            group = GroupRow(group.entity if group.entity in ENTITIES else "guest", group.exclude)
        else:
            group.rules = _rules(form, at)
            _read_total(form, at, group)
        draft.groups.append(group)
    _press(draft, _text(form, "do"))
    return draft


def _read_total(form: Mapping[str, Any], at: str, group: GroupRow) -> None:
    if f"{at}total" not in form:
        return
    group.total = _text(form, f"{at}total")
    group.total_comparator = _text(form, f"{at}total_comparator")
    group.total_value = _text(form, f"{at}total_value")
    group.currency = _text(form, f"{at}currency").upper()


def _steps(form: Mapping[str, Any], at: str) -> list[StepRow]:
    rows = []
    for index in range(MOST):
        here = f"{at}s{index}."
        if f"{here}what" not in form:
            break
        what, days = _text(form, f"{here}what"), _text(form, f"{here}days")
        rows.append(StepRow(what, days, _text(form, f"{here}then") == "not"))
    return rows


def _rules(form: Mapping[str, Any], at: str) -> list[RuleRow]:
    rows = []
    for index in range(MOST):
        here = f"{at}r{index}."
        if f"{here}field" not in form:
            break
        names = ("field", "comparator", "first", "second")
        row = RuleRow(*(_text(form, here + name) for name in names))
        if row.comparator not in row.comparators:
            row.comparator, row.first, row.second = row.comparators[0], "", ""
        if row.has_unit and row.second not in UNITS:
            row.second = UNITS[0]
        rows.append(row)
    return rows


def _press(draft: Draft, do: str) -> None:
    word, *numbers = do.split(":")
    at = [int(number) for number in numbers if number.isdecimal()]
    if word == "add-group":
        draft.groups.append(_fresh(do.partition(":")[2]))
    elif at and at[0] < len(draft.groups):
        group = draft.groups[at[0]]
        if word == "add-rule":
            group.rules.append(RuleRow())
        elif word == "drop-group":
            draft.groups.remove(group)
        elif word == "drop-rule" and len(at) > 1 and at[1] < len(group.rules):
            del group.rules[at[1]]
        elif word == "add-total":
            group.total = next(iter(group.numbers), "")
            group.currency = "EUR" if group.is_money else ""
        elif word == "drop-total":
            group.total = None
        elif word == "add-step":
            group.steps.append(StepRow("order:"))
        elif word == "drop-step" and len(at) > 1 and at[1] < len(group.steps):
            del group.steps[at[1]]


def _fresh(entity: str) -> GroupRow:
    if entity == SEQUENCE:
        return GroupRow(SEQUENCE, steps=[StepRow("event:VIEW"), StepRow("event:ADD")])
    return GroupRow(entity if entity in ENTITIES else "guest")


def definition(draft: Draft) -> dict[str, Any]:
    """What the form means; rules without field are left out."""
    if draft.sql is not None:
        return {"sql": draft.sql}
    groups = []
    for group in draft.groups:
        if group.entity == SEQUENCE:
            groups.append(_sequence(group))
            continue
        told: dict[str, Any] = {
            "entity": group.entity,
            "filterGroupType": "EXCLUDE" if group.exclude else "INCLUDE",
            "ruleOperator": group.operator,
            "rules": [_rule(row) for row in group.rules if row.field],
        }
        if group.type:
            told["type"] = group.type
        if group.count_comparator and group.entity != "guest":
            told["count"] = {"comparator": group.count_comparator, "values": [_number(group.count)]}
        if group.total is not None:
            told["sum"] = _sum(group)
        groups.append(told)
    return {"operator": draft.operator, "filterGroups": groups}


def _sum(group: GroupRow) -> dict[str, Any]:
    told = {"field": group.total, "comparator": group.total_comparator}
    if group.is_money:
        told["currency"] = group.currency or None
    return {**told, "values": [_number(group.total_value)]}


def _sequence(group: GroupRow) -> dict[str, Any]:
    steps = []
    for index, row in enumerate(group.steps):
        entity, _, kind = row.what.partition(":")
        step: dict[str, Any] = {"entity": entity}
        if kind:
            step["type"] = kind
        if row.days and index:
            step["withinDays"] = _number(row.days)
        if row.absent and index == len(group.steps) - 1:
            step["absent"] = True
        steps.append(step)
    return {"filterGroupType": "EXCLUDE" if group.exclude else "INCLUDE", "sequence": steps}


def _rule(row: RuleRow) -> dict[str, Any]:
    location, _, rest = row.field.partition(":")
    name, _, kind = rest.rpartition(":")
    values: list[Any] = [] if not row.inputs else [row.first]
    if row.has_unit:
        values = [_number(row.first), row.second]
    elif row.inputs == 2 and _is_many(row):
        values = [word.strip() for word in row.first.split(",") if word.strip()]
    elif row.inputs == 2:
        values = [row.first, row.second]
    if row.type == "number" and not row.has_unit:
        values = [_number(value) for value in values]
    told = {"location": location, "field": name, "comparator": row.comparator, "values": values}
    return told | {"comparatorDataType": kind}


def _is_many(row: RuleRow) -> bool:
    return COMPARATORS[row.comparator].test == "any"


def of(name: str, told: Mapping[str, Any], types: Mapping[tuple[str, str, str], str]) -> Draft:
    """The form of a definition; `types` are those of fields by entity, location and name."""
    if told.get("sql") is not None:
        return Draft(name, sql=str(told["sql"]))
    draft = Draft(name, str(told.get("operator", "AND")).upper())
    for group in told.get("filterGroups", ()):
        count = group.get("count") or {}
        kind = group.get("type") or ""
        row = GroupRow(
            str(group.get("entity", "guest")),
            str(group.get("filterGroupType", "")).upper() == "EXCLUDE",
            kind if isinstance(kind, str) else ",".join(kind),
            str(group.get("ruleOperator", "AND")).upper(),
            str(count.get("comparator", "")),
            str((count.get("values") or [count.get("value", "")])[0]),
        )
        row.rules = [_row(row.entity, rule, types) for rule in group.get("rules", ())]
        _of_total(row, group.get("sum") or {})
        if group.get("sequence"):
            row.entity = SEQUENCE
            row.steps = [_of_step(step) for step in group["sequence"]]
        draft.groups.append(row)
    return draft


def _of_total(row: GroupRow, told: Mapping[str, Any]) -> None:
    if told:
        row.total, row.currency = snake(str(told.get("field", ""))), str(told.get("currency") or "")
        row.total_comparator = str(told.get("comparator", "")).lower()
        row.total_value = str((told.get("values") or [told.get("value", "")])[0])


def _of_step(told: Mapping[str, Any]) -> StepRow:
    kind = told.get("type") or ""
    what = f"{told.get('entity', 'event')}:{kind if isinstance(kind, str) else ','.join(kind)}"
    days = told.get("withinDays")
    return StepRow(what, "" if days is None else str(days), told.get("absent") is True)


def _row(
    entity: str, rule: Mapping[str, Any], types: Mapping[tuple[str, str, str], str]
) -> RuleRow:
    location, name = str(rule.get("location", "core")), str(rule["field"])
    name = snake(name) if location == "core" else name
    kind = types.get((entity, location, name)) or str(rule.get("comparatorDataType") or "string")
    row = RuleRow(f"{location}:{name}:{kind}", str(rule["comparator"]).lower())
    values = [str(value) for value in rule.get("values") or ()]
    if row.inputs == 2 and not row.has_unit and _is_many(row):
        row.first = ", ".join(values)
    else:
        row.first, row.second = (*values, "", "")[:2]
    return row


def is_simple(told: Mapping[str, Any]) -> bool:
    """Whether the form can show all of a definition."""
    groups: Sequence[Mapping[str, Any]] = told.get("filterGroups") or ()
    steps = [step for group in groups for step in group.get("sequence") or ()]
    return not any(step.get("rules") for step in steps) and not told.get("retired")


def _number(text: str) -> Any:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value == int(value) else value


def _text(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""
