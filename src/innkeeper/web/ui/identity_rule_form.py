"""The form of identity rules: rows of menus, and the button that was pressed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from innkeeper.resources.naming import camel
from innkeeper.resources.values import whole_in
from innkeeper.rules.identity_rules import IdentityRule
from innkeeper.web.ui.draft_form import form_text
from innkeeper.web.ui.formatting import title_words
from innkeeper.wire.identity.rules import FIELD_NAMES

MOST_RULES: Final = 20
MOST_CONDITIONS: Final = 10
FIELD: Final = "field:"
PROVIDER: Final = "provider:"
OTHER: Final = PROVIDER
"""Choice of a provider whose name is typed."""
EXAMPLES: Final = {
    "email": ("E-mail address", ("email",)),
    "phone": ("Phone and last name", ("phone", "lastName")),
    "person": ("Name and date of birth", ("firstName", "lastName", "dateOfBirth")),
    "address": ("Last name, street and post code", ("lastName", "street", "postCode")),
}
"""Rules to start with: label and fields."""
_PLAIN: Final = "Compared without case, spaces, punctuation and accents"
COMPARISONS: Final = {
    f"{FIELD}email": "Any of a guest's addresses, trimmed and in lower case",
    f"{FIELD}phone": "Any of a guest's numbers, in international form by the guest's country",
    f"{FIELD}dateOfBirth": "The day",
    f"{PROVIDER}email": "The identifier of this provider, trimmed and in lower case",
}


@dataclass(slots=True)
class ConditionRow:
    """One value that must be equal."""

    key: str = ""
    """`field:NAME`, `provider:NAME`, OTHER, or empty for none."""
    provider: str = ""
    """The typed provider of OTHER."""

    @property
    def is_complete(self) -> bool:
        return bool(self.key) and (self.key != OTHER or bool(self.provider))

    @property
    def comparison(self) -> str:
        """The text that explains how the values are compared."""
        if not self.key:
            return ""
        other = "The identifier of this provider, exactly, and not expired"
        return COMPARISONS.get(self.key, _PLAIN if self.key.startswith(FIELD) else other)

    @property
    def label(self) -> str:
        if self.key.startswith(FIELD):
            return title_words(self.key.removeprefix(FIELD))
        return self.key.removeprefix(PROVIDER) or self.provider


@dataclass(slots=True)
class IdentityRuleRow:
    """One rule of the form."""

    name: str = ""
    conditions: list[ConditionRow] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The name, or the one that its conditions give it."""
        return self.name or " + ".join(one.label for one in self.conditions if one.is_complete)

    @property
    def is_empty(self) -> bool:
        return not self.name and not any(one.key for one in self.conditions)

    def body(self) -> dict[str, Any]:
        """Return the rule as the API takes it."""
        whole = [one for one in self.conditions if one.is_complete]
        fields = [one.key.removeprefix(FIELD) for one in whole if one.key.startswith(FIELD)]
        providers = [
            one.key.removeprefix(PROVIDER) or one.provider
            for one in whole
            if one.key.startswith(PROVIDER)
        ]
        return {"identityRule": self.label, "providers": providers, "fields": fields}


def rows_of(rules: Sequence[IdentityRule]) -> list[IdentityRuleRow]:
    """Return the rows of stored rules."""
    return [
        IdentityRuleRow(
            rule.name,
            [
                ConditionRow(
                    f"{PROVIDER}{one.provider}" if one.field is None else FIELD + camel(one.field)
                )
                for one in rule.conditions
            ],
        )
        for rule in rules
    ]


def read_rows(form: Mapping[str, Any]) -> tuple[list[IdentityRuleRow], str]:
    """Read the form and apply the button that was pressed; return rows and the field to focus."""
    rows: list[IdentityRuleRow] = []
    while len(rows) < MOST_RULES and f"r{len(rows)}.name" in form:
        prefix = f"r{len(rows)}."
        rows.append(IdentityRuleRow(form_text(form, prefix + "name"), [*_conditions(form, prefix)]))
    return rows, _press(rows, form_text(form, "do"))


def _conditions(form: Mapping[str, Any], prefix: str) -> Iterator[ConditionRow]:
    for index in range(MOST_CONDITIONS):
        if f"{prefix}c{index}" not in form:
            return
        key = form_text(form, f"{prefix}c{index}")
        if key.startswith(PROVIDER) or key.removeprefix(FIELD) in FIELD_NAMES:
            yield ConditionRow(key, form_text(form, f"{prefix}p{index}"))
        else:
            yield ConditionRow()


def _press(rows: list[IdentityRuleRow], button: str) -> str:
    """Apply a button, `word:rule:condition`, to the rows; return the id of the field to focus."""
    word, _, rest = button.partition(":")
    if word == "add" and len(rows) < MOST_RULES:
        _, names = EXAMPLES.get(rest, ("", ("",)))
        rows.append(
            IdentityRuleRow("", [ConditionRow(FIELD + name if name else "") for name in names])
        )
        return f"r{len(rows) - 1}.c0"
    at, index = [whole_in(each) for each in (*rest.split(":"), "")][:2]
    if at is None or at >= len(rows):
        return ""
    if word in ("up", "down"):
        return _move(rows, at, word)
    return _press_of_rule(rows, at, word, index)


def _move(rows: list[IdentityRuleRow], at: int, word: str) -> str:
    other = at + (-1 if word == "up" else 1)
    if not 0 <= other < len(rows):
        return ""
    rows[at], rows[other] = rows[other], rows[at]
    return f"r{other}.{word}"


def _press_of_rule(rows: list[IdentityRuleRow], at: int, word: str, index: int | None) -> str:
    conditions = rows[at].conditions
    if word == "drop":
        del rows[at]
        return "add-rule"
    if word == "and" and len(conditions) < MOST_CONDITIONS:
        conditions.append(ConditionRow())
        return f"r{at}.c{len(conditions) - 1}"
    if word == "drop-condition" and index is not None:
        del conditions[index : index + 1]
        return f"r{at}.and"
    return ""
