"""The evidence of persons whose values need no normalization, by identity rules that are compiled.

An import derives the evidence of millions of records. `identity.evidence` and `guest_keys` decide;
this module returns the same for the usual values, and leaves all others to them.
"""

import re
from collections.abc import Callable, Collection
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
    """The keys by which guests are looked up, some of them perhaps twice."""
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
    rules = [
        (rule.name, provider, "field" if provider is None else "provider", provider or "email")
        for rule in book.rules
        for provider in [rule.conditions[0].provider]
    ]
    never = book.never

    def read(fields: Record) -> PlainEvidence | None:
        values = _plain_values(fields, never)
        if values is None:
            return None
        lookup, reason, evidence = list[bytes](), None, list[MatchedValue]()
        for name, provider, kind, named in rules:
            for own, value, key in values:
                if own == provider:
                    lookup.append(key)
                    if reason is None:
                        reason, evidence = name, [{kind: named, "value": value}]
        keys = [key for _, _, key in values]
        if len(keys) > 1:
            if len({*keys}) < len(keys):
                return None
            keys.sort()
        return PlainEvidence(lookup, keys, reason, evidence)

    return read


def _plain_values(
    fields: Record, never: Collection[str]
) -> list[tuple[str | None, str, bytes]] | None:
    """Return (provider, value, key) of each identifier and e-mail address of a person."""
    values: list[tuple[str | None, str, bytes]] = []
    email = fields.get("email")
    emails = fields.get("emails") or ()
    for address in emails if email is None else (email, *(one for one in emails if one != email)):
        lower = address.lower()
        if lower in never or not _is_plain(address):
            return None
        values.append((None, address, digest_bytes("email", lower)))
    for one in fields.get("identifiers") or ():
        provider, value = one["provider"], one["id"]
        lower = value.lower()
        if lower in never or len(one) > 2 or not _is_plain(value):
            return None
        normal = lower if provider == EMAIL_PROVIDER else value
        values.append((provider, value, digest_bytes("identifier", provider, normal)))
    return values
