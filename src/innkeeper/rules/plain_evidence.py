"""The evidence of persons whose values need no normalization, by identity rules that are compiled.

An import derives the evidence of millions of records. `identity.evidence` and `guest_keys` decide;
this module returns the same for the usual values, and leaves all others to them.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from innkeeper.resources.base import Record
from innkeeper.rules.identity_keys import digest_bytes
from innkeeper.rules.identity_rules import IdentityRules, MatchedValue
from innkeeper.rules.normalize import EMAIL_PROVIDER

_is_plain: Final = re.compile("[A-Za-z][A-Za-z0-9@.+_-]{0,254}|[1-9][A-Za-z0-9-]{0,254}").fullmatch
"""Values without characters that normalization removes, and that are no damaged numbers."""


class PlainEvidence(NamedTuple):
    """What identifies a person; keys are 16 bytes."""

    lookup: list[bytes]
    """The keys by which guests are looked up."""
    keys: list[bytes]
    """The keys of a new guest."""
    rule: str | None
    """The first rule that the person matches."""
    evidence: list[MatchedValue]
    """The values by which the person matches it."""


ReadEvidence = Callable[[Record], PlainEvidence | None]
"""Returns the evidence of the fields of a person; None if a value needs normalization, never
identifies, or expires."""


def compile_evidence(book: IdentityRules) -> ReadEvidence | None:
    """Return the function for the rules; None if there are none, or one has several conditions."""
    if not book.rules or not book.is_indexed:
        return None
    rules = [(rule.name, rule.conditions[0].provider) for rule in book.rules]
    never = book.never

    def read(fields: Record) -> PlainEvidence | None:
        values = dict[tuple[str | None, str], bytes]()
        for address in (fields.get("email"), *(fields.get("emails") or ())):
            if address is None or (None, address) in values:
                continue
            if not _is_plain(address) or (lower := address.lower()) in never:
                return None
            values[None, address] = digest_bytes("email", lower)
        for one in fields.get("identifiers") or ():
            provider, value = one["provider"], one["id"]
            lower = value.lower()
            if len(one) > 2 or not _is_plain(value) or lower in never:
                return None
            normal = lower if provider == EMAIL_PROVIDER else value
            values[provider, value] = digest_bytes("identifier", provider, normal)
        keys = {*values.values()}
        if len(keys) < len(values):
            return None
        matches = [
            (key, name, provider, value)
            for name, provider in rules
            for (own, value), key in values.items()
            if own == provider
        ]
        if not matches:
            return PlainEvidence([], sorted(keys), None, [])
        _, name, provider, value = matches[0]
        named = {"field": "email"} if provider is None else {"provider": provider}
        lookup = [*{key: None for key, *_ in matches}]
        return PlainEvidence(lookup, sorted(keys), name, [{**named, "value": value}])

    return read
