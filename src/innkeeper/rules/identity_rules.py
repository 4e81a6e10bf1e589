"""Identity rules: their conditions, and the keys of a record under each rule (identity.md 2)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, product
from typing import Any, Final
from uuid import UUID

from innkeeper.resources.base import Record
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import Day, Instant, Number
from innkeeper.resources.values import iso
from innkeeper.rules import normalize
from innkeeper.rules.identity_keys import digest, email_key, identifier_key
from innkeeper.rules.placeholders import PLACEHOLDERS

MAX_KEYS: Final = 100
"""Most keys of one record under one rule, so that long lists of values do not multiply."""

MatchedValue = dict[str, str]
"""One matched condition: {"provider" or "field": its name, "value": the value as sent}."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A value that must be equal: the id of an identifier provider (2.1) or a guest field (2.0)."""

    provider: str | None = None
    field: str | None = None

    @property
    def label(self) -> str:
        """The condition's text within a key."""
        return f"field:{self.field}" if self.provider is None else f"provider:{self.provider}"

    def stored(self) -> dict[str, str]:
        """Return the condition as the database stores it."""
        if self.provider is not None:
            return {"provider": self.provider}
        return {"field": self.field or ""}


@dataclass(frozen=True, slots=True)
class IdentityRule:
    """A named rule; two records match if all conditions hold."""

    name: str
    conditions: tuple[Condition, ...]
    always_indexed: bool = field(init=False, repr=False, compare=False)
    """Whether every guest has the rule's keys anyway: one provider, or e-mail alone."""

    def __post_init__(self) -> None:
        first = self.conditions[0] if len(self.conditions) == 1 else Condition()
        always_indexed = first.provider is not None or first.field == "email"
        object.__setattr__(self, "always_indexed", always_indexed)

    def __str__(self) -> str:
        """Return the rule as text: `name = CRM, field:last_name`."""
        words = (each.provider or f"field:{each.field}" for each in self.conditions)
        return f"{self.name} = {', '.join(words)}"

    @staticmethod
    def of(name: str, conditions: Iterable[Mapping[str, str]]) -> "IdentityRule":
        """Build a rule from stored conditions."""
        return IdentityRule(name, tuple(Condition(**condition) for condition in conditions))


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """The identity rules and guards of a workspace."""

    version: UUID
    """Changes with every change of rules or guards."""
    rules: tuple[IdentityRule, ...]
    never: frozenset[str] = frozenset(PLACEHOLDERS)
    group_limit: int = 100
    """Most guests that share a key or form a merged group."""
    region: str | None = None
    """Country of national phone numbers, for records without a country."""

    is_indexed: bool = field(init=False, repr=False, compare=False)
    """Whether every guest has the keys of all rules anyway."""

    def __post_init__(self) -> None:
        is_indexed = all(rule.always_indexed for rule in self.rules)
        object.__setattr__(self, "is_indexed", is_indexed)

    def is_too_many(self, guests: int) -> bool:
        """Whether a value that so many guests share does not identify a person."""
        return guests > self.group_limit

    @property
    def candidates_max(self) -> int:
        """Most guests to look up by one key: twice as many as may share it, since a survivor is
        found by the keys of guests merged into it as well."""
        return 2 * (self.group_limit + 1)

    def keys(self, record: Record) -> set[UUID]:
        """Return the keys that the rules need in addition to those that every guest has."""
        return {
            key
            for rule in self.rules
            if not rule.always_indexed
            for key, _ in rule_keys(record, rule, self.region, None)
        }


def rule_keys(
    record: Record, rule: IdentityRule, region: str | None, now: datetime | None
) -> Iterator[tuple[UUID, list[MatchedValue]]]:
    """Yield each key of a record under a rule, with its values; none if a condition has no value.

    Without `now` expired identifiers count, as is needed for indexing.
    """
    if rule.always_indexed:
        (condition,) = rule.conditions
        for value, original in _values(record, condition, region, now).items():
            key = (
                email_key(value)
                if condition.provider is None
                else identifier_key(condition.provider, value)
            )
            yield key, [_described(condition, original)]
        return
    each = [_values(record, condition, region, now) for condition in rule.conditions]
    if not all(each):
        return
    # Sorted, so that all rules with the same conditions share a key.
    parts = sorted(zip(rule.conditions, each, strict=True), key=lambda part: part[0].label)
    for combination in islice(product(*(values.items() for _, values in parts)), MAX_KEYS):
        words = [
            word
            for (condition, _), (value, _) in zip(parts, combination, strict=True)
            for word in (condition.label, value)
        ]
        yield (
            digest("rule", *words),
            [
                _described(condition, original)
                for (condition, _), (_, original) in zip(parts, combination, strict=True)
            ],
        )


_ORDER: Final = (
    *("email", "phone", "first_name", "last_name", "date_of_birth", "post_code", "street"),
    *("city", "state", "country", "nationality", "passport_number", "gender", "title"),
)
"""The order of fields in menus; other fields follow in order of declaration."""
_IDENTIFYING: Final = (name for name, field in Guest.fields.items() if field.identifies)
FIELDS: Final = tuple(
    sorted(
        ("email", "phone", *_IDENTIFYING),
        key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER),
    )
)
"""Guest fields that a rule may name; `_values` defines how they compare. `email` and `phone` stand
for all e-mail addresses and phone numbers of a guest."""


def _values(
    record: Record, condition: Condition, region: str | None, now: datetime | None
) -> dict[str, str]:
    """Return normalized value -> stored value, for the values that a condition compares."""
    if condition.provider is not None:
        return {
            normalize.identifier(condition.provider, one["id"]): one["id"]
            for one in record.get("identifiers") or ()
            if one["provider"] == condition.provider
            and one["id"]
            and (now is None or is_valid(one, now))
        }
    name = condition.field or ""
    if name == "email":
        values = (record.get("email"), *(record.get("emails") or ()))
        pairs = [(normalize.email(value), value) for value in values if value]
    elif name == "phone":
        country = record.get("country") or region
        values = (*(record.get("phone_numbers") or ()), record.get("phone"))
        pairs = [(normalize.phone(value, country), value) for value in values if value]
    elif name == "post_code":
        value = record.get("post_code") or record.get("zip_code") or ""
        pairs = [(normalize.folded(value), value)]
    elif name == "street":
        value = " ".join(record.get("street") or ())
        pairs = [(normalize.folded(value), value)]
    else:
        value = record.get(name) or ()
        texts = [str(one) for one in (value if isinstance(value, list | tuple) else (value,))]
        is_text = not isinstance(Guest.fields[name].kind, Day | Instant | Number)
        pairs = [(normalize.folded(text) if is_text else text, text) for text in texts]
    return {compared: value for compared, value in pairs if compared}


def expires(identifier: Mapping[str, Any]) -> bool:
    """Whether an identifier expires at some time."""
    return identifier.get("expiryDate") is not None


def is_valid(identifier: Mapping[str, Any], now: datetime) -> bool:
    """Whether an identifier has not expired."""
    # Stored instants are UTC texts of the same length, so they compare as text.
    expiry = identifier.get("expiryDate")
    return expiry is None or expiry > iso(now)


def _described(condition: Condition, value: str) -> MatchedValue:
    if condition.provider is not None:
        return {"provider": condition.provider, "value": value}
    return {"field": condition.field or "", "value": value}
