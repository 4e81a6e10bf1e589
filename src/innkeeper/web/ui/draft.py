"""The segment builder's form as data: rows of groups, steps and rules."""

from dataclasses import dataclass, field
from typing import Final

from innkeeper.resources.segments import (
    COMPARATORS,
    ENTITIES,
    NUMBER,
    STATIC_LIST,
    TIMESTAMP,
    snake,
)
from innkeeper.rules.segments import MONEY

COUNTS: Final = (
    ("", "any"),
    ("is greater than or equal to", "at least"),
    ("is less than or equal to", "at most"),
    ("is equal to", "exactly"),
    ("is greater than", "more than"),
    ("is less than", "fewer than"),
)
TOTALS: Final = (
    ("is greater than or equal to", "at least"),
    ("is greater than", "more than"),
    ("is less than or equal to", "at most"),
    ("is less than", "less than"),
    ("is equal to", "exactly"),
)
WORDS: Final = {
    "guest": "Guest",
    "session": "Session",
    "event": "Event",
    "order": "Order",
    "order_item": "Order item",
}
SEQUENCE: Final = "sequence"
"""The entity of a group of steps, in the form."""
UNITS: Final = ("days", "weeks", "months", "years")
_DAYS: Final = frozenset({"past", "next", "plus", "minus"})


@dataclass(slots=True)
class RuleRow:
    """One rule in the form; `field` is location:name:type."""

    field: str = ""
    comparator: str = ""
    first: str = ""
    second: str = ""

    @property
    def location(self) -> str:
        return self.field.partition(":")[0]

    @property
    def name(self) -> str:
        return self.field.partition(":")[2].rpartition(":")[0]

    @property
    def type(self) -> str:
        return self.field.rpartition(":")[2] or "string"

    @property
    def comparators(self) -> list[str]:
        names = [each.name for each in COMPARATORS.values() if self.type in each.types]
        return names[-2:] if self.location == STATIC_LIST else names

    @property
    def inputs(self) -> int:
        """Number of inputs that its comparator takes."""
        comparator = COMPARATORS.get(self.comparator)
        return 1 if comparator is None else min(comparator.most, 2)

    @property
    def has_unit(self) -> bool:
        comparator = COMPARATORS.get(self.comparator)
        return comparator is not None and comparator.test in _DAYS

    @property
    def has_many(self) -> bool:
        """Whether its one input holds comma-separated values."""
        comparator = COMPARATORS.get(self.comparator)
        return comparator is not None and comparator.test == "any"

    @property
    def has_two(self) -> bool:
        """Whether it compares with two values."""
        return self.inputs == 2 and not self.has_unit and not self.has_many

    @property
    def input_type(self) -> str:
        if self.has_many:
            return "text"
        if self.has_unit or self.type == NUMBER:
            return "number"
        return "date" if self.type == TIMESTAMP else "text"


@dataclass(slots=True)
class StepRow:
    """One step of a sequence; `what` is entity:type, with comma-separated types."""

    what: str = "event:"
    days: str = ""
    absent: bool = False
    operator: str = "AND"
    rules: list[RuleRow] = field(default_factory=list)

    @property
    def entity(self) -> str:
        return self.what.partition(":")[0]

    @property
    def type(self) -> str:
        return self.what.partition(":")[2]


@dataclass(slots=True)
class GroupRow:
    """One group in the form; `total` is the field whose values are added up."""

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
        """Whether the added-up field needs a currency."""
        return snake(self.total or "") in MONEY

    @property
    def numbers(self) -> list[str]:
        """Fields that can be added up."""
        fields = ENTITIES[self.entity].fields.values() if self.entity in ENTITIES else ()
        return [each.name for each in fields if each.type == NUMBER]


@dataclass(slots=True)
class Draft:
    """The whole form of the segment builder."""

    name: str = ""
    operator: str = "AND"
    groups: list[GroupRow] = field(default_factory=list)
    sql: str | None = None
    focus: str = ""
    """The id of the control that gets the focus after a button was pressed."""

    @property
    def entities(self) -> set[str]:
        """The entities that have rules."""
        steps = [step for group in self.groups for step in group.steps]
        of_groups = {group.entity for group in self.groups if group.rules}
        return of_groups | {step.entity for step in steps if step.rules}

    @property
    def rules(self) -> list[RuleRow]:
        """The rules of every group and step."""
        lists = [group.rules for group in self.groups]
        lists += [step.rules for group in self.groups for step in group.steps]
        return [rule for rules in lists for rule in rules]
