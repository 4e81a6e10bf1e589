"""The form of a computed trait: convert it to a definition, and a definition to it."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from unicodedata import combining, normalize

from innkeeper.errors import Invalid
from innkeeper.resources.definitions import TraitDefinition
from innkeeper.resources.naming import camel
from innkeeper.resources.payloads import document_of, read_valid
from innkeeper.resources.segments import ENTITIES, NUMBER, TIMESTAMP, snake
from innkeeper.resources.values import whole_in
from innkeeper.rules import traits as rules
from innkeeper.rules.segments import MONEY
from innkeeper.rules.traits import NAME
from innkeeper.web.ui import builder, draft_form
from innkeeper.web.ui.draft import WORDS, RuleRow
from innkeeper.web.ui.formatting import title_words

COUNT: Final = "count"
FUNCTIONS: Final = (
    ("count", "Count"),
    ("sum", "Sum"),
    ("average", "Average"),
    ("least", "Lowest or first"),
    ("greatest", "Highest or last"),
    ("latest", "Value of the newest one"),
    ("most_common", "Most common"),
)
_SENTENCES: Final = {
    "count": "Number of {things}",
    "sum": "{field} of all {things}, added up",
    "average": "{field} of {things}, on average",
    "least": "Lowest {field} of {things}",
    "greatest": "Highest {field} of {things}",
    "latest": "{field} of the newest {thing}",
    "most_common": "Most common {field} of {things}",
}
_TIME_SENTENCES: Final = {
    "least": "First {field} of {things}",
    "greatest": "Last {field} of {things}",
}


@dataclasses.dataclass(slots=True)
class TraitDraft:
    """The whole form of a trait."""

    name: str = ""
    entity: str = "order"
    type: str = ""
    function: str = COUNT
    field: str = ""
    currency: str = ""
    operator: str = "AND"
    rules: list[RuleRow] = dataclasses.field(default_factory=list)
    focus: str = ""
    """The id of the control that gets the focus after a button was pressed."""

    @property
    def fields(self) -> list[str]:
        """Names of the fields that the function accepts."""
        is_numeric = self.function in ("sum", "average")
        return [
            each.name
            for each in ENTITIES[self.entity].fields.values()
            if not each.many and (each.type == NUMBER or not is_numeric)
        ]

    @property
    def is_money(self) -> bool:
        """Whether its field needs a currency."""
        return self.function != COUNT and snake(self.field) in MONEY

    @property
    def sentence(self) -> str:
        """The trait in words, without its rules: `Price of all orders, added up`."""
        field = ENTITIES[self.entity].fields.get(self.field)
        patterns = _SENTENCES | (_TIME_SENTENCES if field and field.type == TIMESTAMP else {})
        thing = WORDS[self.entity].lower()
        words = patterns[self.function].format(
            things=f"{thing}s", thing=thing, field=_field_words(self)
        )
        return f"{words}, in {self.currency}" if self.is_money and self.currency else words


def _field_words(draft: TraitDraft) -> str:
    words = title_words(draft.field)
    is_first = _SENTENCES[draft.function].startswith("{field}")
    return words if is_first else words.lower()


def code_name(text: str) -> str:
    """Convert a name to that of the API: `Spend on shoes` to `spendOnShoes`."""
    if NAME.fullmatch(text):
        return text
    letters = (each for each in normalize("NFKD", text) if not combining(each))
    words = "".join(each if each.isascii() and each.isalnum() else " " for each in letters).split()
    return "".join(
        word[:1].upper() + word[1:] if at else word[:1].lower() + word[1:]
        for at, word in enumerate(words)
    )


def read_form(form: Mapping[str, Any]) -> TraitDraft:
    """Read the form's fields, and apply the button that was pressed."""
    text = partial(draft_form.form_text, form)
    entity = text("entity") if text("entity") in WORDS and text("entity") != "guest" else "order"
    draft = TraitDraft(text("name"), entity, function=text("function"))
    if draft.function not in dict(FUNCTIONS):
        draft.function = COUNT
    if entity == text("was"):
        # Another entity has other types, fields and rules.
        draft.type, draft.operator = text("type"), text("operator") or "AND"
        draft.rules = draft_form.read_rules(form, "")
        draft.field = text("field")
    if draft.function == COUNT or draft.field not in draft.fields:
        draft.field = "" if draft.function == COUNT else next(iter(draft.fields), "")
    if draft.is_money:
        draft.currency = text("currency").upper() if "currency" in form else "EUR"
    word, _, at = text("do").partition(":")
    if word == "add-rule":
        draft.rules.append(RuleRow())
        draft.focus = f"r{len(draft.rules) - 1}.field"
    elif word == "drop-rule":
        draft.rules = [rule for index, rule in enumerate(draft.rules) if index != whole_in(at)]
        draft.focus = "add-rule"
    return draft


def definition_of(draft: TraitDraft) -> dict[str, Any]:
    """Convert the form to a definition; rules without a field are left out."""
    trait_rules = builder.rules_of(draft.rules) or None
    return document_of(
        TraitDefinition,
        entity=draft.entity,
        type=builder.types_of(draft.type),
        rule_operator=draft.operator if trait_rules else None,
        rules=trait_rules,
        function=draft.function,
        field=None if draft.function == COUNT else camel(draft.field),
        currency=draft.currency if draft.is_money else None,
    )


def draft_of(name: str, definition: Mapping[str, Any]) -> TraitDraft:
    """Convert a stored definition to the form."""
    stored = read_valid(TraitDefinition, definition)
    entity, types, operator, trait_rules = builder.rows_of(stored, {})
    function = stored["function"]
    field = "" if function == COUNT else snake(stored["field"] or "")
    currency = stored["currency"] or ""
    return TraitDraft(name, entity, types, function, field, currency, operator, trait_rules)


def definition_to_save(changed: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the definition to store: `before`, unchanged, when `changed` means the same."""
    return before if _is_same(changed, before) else changed


def fits(definition: Mapping[str, Any]) -> bool:
    """Whether the form can show all of a definition: opening and saving it loses nothing."""
    return _is_same(definition_of(draft_of("", definition)), definition)


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    try:
        return rules.read("same", one) == rules.read("same", other)
    except Invalid:
        return False
