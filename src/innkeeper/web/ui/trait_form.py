"""The form of a computed trait and the definition it stands for, each made of the other."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from unicodedata import combining, normalize

from innkeeper.errors import Invalid
from innkeeper.resources.segments import ENTITIES, NUMBER, TIMESTAMP, snake
from innkeeper.rules import traits as rules
from innkeeper.rules.segment_reading import entity_of
from innkeeper.rules.segments import MONEY
from innkeeper.rules.traits import NAME
from innkeeper.web.ui import builder, draft_form
from innkeeper.web.ui.draft import WORDS, RuleRow
from innkeeper.web.ui.formatting import worded
from innkeeper.wire.naming import camel

COUNT: Final = "count"
FUNCTIONS: Final = (
    ("count", "How many there are"),
    ("sum", "Added up"),
    ("average", "On average"),
    ("least", "Lowest or first"),
    ("greatest", "Highest or last"),
    ("latest", "Of the newest one"),
    ("most_common", "Most common"),
)
_SAID: Final = {
    "count": "How many {things}",
    "sum": "{field} of all {things}, added up",
    "average": "{field} of {things}, on average",
    "least": "Lowest {field} of {things}",
    "greatest": "Highest {field} of {things}",
    "latest": "{field} of the newest {thing}",
    "most_common": "Most common {field} of {things}",
}
_SAID_OF_TIMES: Final = {
    "least": "First {field} of {things}",
    "greatest": "Last {field} of {things}",
}


@dataclasses.dataclass(slots=True)
class TraitDraft:
    """The whole form."""

    name: str = ""
    entity: str = "order"
    type: str = ""
    function: str = COUNT
    field: str = ""
    currency: str = ""
    operator: str = "AND"
    rules: list[RuleRow] = dataclasses.field(default_factory=list)
    focus: str = ""
    """The id of the control that a keyboard goes on with after a button was pressed."""

    @property
    def fields(self) -> list[str]:
        """Fields that the function can take."""
        numbers = self.function in ("sum", "average")
        return [
            known.name
            for known in ENTITIES[self.entity].fields.values()
            if not known.many and (known.type == NUMBER or not numbers)
        ]

    @property
    def is_money(self) -> bool:
        """Whether its field needs a currency."""
        return self.function != COUNT and snake(self.field) in MONEY

    @property
    def sentence(self) -> str:
        """What it is, without its rules: `Price of all orders, added up`."""
        known = ENTITIES[self.entity].fields.get(self.field)
        said = _SAID | (_SAID_OF_TIMES if known and known.type == TIMESTAMP else {})
        thing = WORDS[self.entity].lower()
        words = said[self.function].format(things=f"{thing}s", thing=thing, field=_cased(self))
        return f"{words}, in {self.currency}" if self.is_money and self.currency else words


def _cased(draft: TraitDraft) -> str:
    words = worded(draft.field)
    first = _SAID[draft.function].startswith("{field}")
    return words if first else words.lower()


def code_name(text: str) -> str:
    """A name as the API knows it: `Spend on shoes` is `spendOnShoes`."""
    if NAME.fullmatch(text):
        return text
    letters = (each for each in normalize("NFKD", text) if not combining(each))
    words = "".join(each if each.isascii() and each.isalnum() else " " for each in letters).split()
    return "".join(
        word[:1].upper() + word[1:] if at else word[:1].lower() + word[1:]
        for at, word in enumerate(words)
    )


def read(form: Mapping[str, Any]) -> TraitDraft:
    """The form as it was sent, after the button that was pressed did its work."""
    text = partial(draft_form.text, form)
    entity = text("entity") if text("entity") in WORDS and text("entity") != "guest" else "order"
    draft = TraitDraft(text("name"), entity, function=text("function"))
    if draft.function not in dict(FUNCTIONS):
        draft.function = COUNT
    if entity == text("was"):
        # Another entity has other types, fields and rules.
        draft.type, draft.operator = text("type"), text("operator") or "AND"
        draft.rules = draft_form.rules(form, "")
        draft.field = text("field")
    if draft.function == COUNT or draft.field not in draft.fields:
        draft.field = "" if draft.function == COUNT else next(iter(draft.fields), "")
    if draft.is_money:
        draft.currency = text("currency").upper() if "currency" in form else "EUR"
    word, _, at = text("do").partition(":")
    if word == "add-rule":
        draft.rules.append(RuleRow())
        draft.focus = f"r{len(draft.rules) - 1}.field"
    elif word == "drop-rule" and at.isdecimal() and int(at) < len(draft.rules):
        del draft.rules[int(at)]
        draft.focus = "add-rule"
    return draft


def definition(draft: TraitDraft) -> dict[str, Any]:
    """What the form means; rules without field are left out."""
    told: dict[str, Any] = {"entity": draft.entity, **builder.types(draft.type)}
    found = [builder.rule(row) for row in draft.rules if row.field]
    if found:
        told |= {"ruleOperator": draft.operator, "rules": found}
    told["function"] = draft.function
    if draft.function != COUNT:
        told["field"] = camel(draft.field)
    if draft.is_money:
        told["currency"] = draft.currency
    return told


def of(name: str, told: Mapping[str, Any]) -> TraitDraft:
    """The form of a definition that was kept."""
    entity = entity_of(told["entity"])
    assert entity is not None  # noqa: S101 - it was read before it was kept
    return TraitDraft(
        name,
        entity.name,
        builder.type_of(told),
        str(told["function"]),
        "" if told["function"] == COUNT else snake(str(told.get("field", ""))),
        str(told.get("currency") or ""),
        str(told.get("ruleOperator", "AND")).upper(),
        [builder.row_of(entity.name, each, {}) for each in told.get("rules") or ()],
    )


def definition_to_save(told: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition to keep: `before` to the letter where `told` means the same."""
    return before if _same(told, before) else told


def fits(told: Mapping[str, Any]) -> bool:
    """Whether the form can show all of a definition."""
    return _same(definition(of("", told)), told)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    try:
        return rules.read("same", one) == rules.read("same", other)
    except Invalid:
        return False
