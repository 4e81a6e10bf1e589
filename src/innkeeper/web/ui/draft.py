"""The segment builder's form as data: groups, steps and rules as its rows have them."""

from dataclasses import dataclass, field
from typing import Final

from innkeeper.resources.segments import COMPARATORS, ENTITIES, NUMBER, TIMESTAMP, snake
from innkeeper.rules.segments import MONEY

COUNTS: Final = (
    ("", "any number of"),
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
"""What a group of steps is about, in the form."""
UNITS: Final = ("days", "weeks", "months", "years")
_DAYS: Final = frozenset({"past", "next", "plus", "minus"})


@dataclass(slots=True)
class RuleRow:
    """One rule as the form has it; `field` is location:name:type."""

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
    def has_many(self) -> bool:
        """Whether its one input holds values with commas between them."""
        known = COMPARATORS.get(self.comparator)
        return known is not None and known.test == "any"

    @property
    def has_two(self) -> bool:
        """Whether it is between two values."""
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
    """One step of a sequence; `what` is entity:type, with commas between types."""

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
    focus: str = ""
    """The id of the control that a keyboard goes on with after a button was pressed."""

    @property
    def entities(self) -> set[str]:
        """The entities that rules are about."""
        steps = [step for group in self.groups for step in group.steps]
        found = {group.entity for group in self.groups if group.rules}
        return found | {step.entity for step in steps if step.rules}

    @property
    def rules(self) -> list[RuleRow]:
        """The rules of every group and step."""
        lists = [group.rules for group in self.groups]
        lists += [step.rules for group in self.groups for step in group.steps]
        return [rule for rules in lists for rule in rules]
