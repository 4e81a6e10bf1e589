"""What the URL of the list of guests selects: search, type, filters, columns and sort."""

from dataclasses import dataclass
from typing import Any, Final

from innkeeper.resources.guests import CUSTOMER, TRAVELLER, VISITOR
from innkeeper.resources.values import whole_in
from innkeeper.rules.personal import is_personal
from innkeeper.web.ui import builder, draft_form
from innkeeper.web.ui.draft import Draft, GroupRow, RuleRow
from innkeeper.web.ui.shell import Visit

ALL: Final = "all"
TYPES: Final = (CUSTOMER, VISITOR, TRAVELLER)
_RULE_MEMBERS: Final = ("field", "comparator", "first", "second")


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What the URL of the list selects."""

    q: str
    guest_type: str
    """One of `TYPES`, or `ALL`."""
    operator: str
    rules: list[RuleRow]

    @property
    def definition(self) -> dict[str, Any]:
        """The type and the filters as the definition of a segment."""
        return builder.definition_of(Draft(groups=[self.group]))

    @property
    def group(self) -> GroupRow:
        kind = "" if self.guest_type == ALL else self.guest_type.upper()
        return GroupRow(type=kind, operator=self.operator, rules=self.complete_rules)

    @property
    def has_search(self) -> bool:
        return bool(self.q.strip())

    @property
    def complete_rules(self) -> list[RuleRow]:
        """The rules with a field and, where they need one, a value."""
        return [rule for rule in self.rules if rule.field and (rule.first or not rule.inputs)]

    @property
    def query(self) -> dict[str, str]:
        """The query of the URL that selects the same, without columns and sort."""
        return {"q": self.q, "type": self.guest_type} | self.rule_fields(self.rules, "")

    def rule_fields(self, rules: list[RuleRow], prefix: str) -> dict[str, str]:
        """The filters as fields of a form, whose names begin with `prefix`.

        A rule whose field is not chosen yet has a space as its field, since URLs omit empty values.
        """
        fields = {f"{prefix}operator": "OR"} if self.operator == "OR" and len(rules) > 1 else {}
        for index, rule in enumerate(rules):
            for name in _RULE_MEMBERS:
                empty = " " if name == "field" else ""
                fields[f"{prefix}r{index}.{name}"] = getattr(rule, name) or empty
        return fields

    @property
    def builder_query(self) -> dict[str, str]:
        """The query with which the segment builder opens with these filters."""
        kind = {"g0.entity": "guest", "g0.was": "guest", "g0.type": self.group.type}
        return kind | self.rule_fields(self.complete_rules, "g0.")


def read_request(visit: Visit) -> ListRequest:
    """Read the URL, and apply the button of the filters that was pressed.

    Visitors who may not see personal data may not filter by it.
    """
    query = visit.request.query_params
    guest_type = visit.query_text("type", CUSTOMER).lower()
    rules = draft_form.read_rules(query, "")
    if not visit.personal:
        rules = [rule for rule in rules if not is_personal(rule.name, rule.location, rule.type)]
    word, _, number = visit.query_text("do").partition(":")
    if word == "add-rule":
        rules.append(RuleRow())
    elif word == "drop-rule":
        rules = [rule for index, rule in enumerate(rules) if index != whole_in(number)]
    return ListRequest(
        visit.query_text("q"),
        guest_type if guest_type in TYPES else ALL,
        visit.query_text("operator") or "AND",
        rules,
    )


def view_query(visit: Visit) -> dict[str, Any]:
    """Return the columns and the sort of the URL."""
    columns = visit.request.query_params.getlist("columns")
    return {"columns": columns, "sort": visit.query_text("sort")}
