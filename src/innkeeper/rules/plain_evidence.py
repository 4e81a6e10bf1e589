"""The evidence of persons whose values need no normalization, by identity rules that are compiled.

An import derives the evidence of millions of records. `identity.evidence` and `guest_keys` decide;
this module returns the same for the usual values, and leaves all others to them.
"""

import re
from collections.abc import Callable, Sequence
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
    rules = dict[str | None, tuple[int, str, str, str]]()
    for number, rule in enumerate(book.rules):
        provider = rule.conditions[0].provider
        kind = "field" if provider is None else "provider"
        # Of several rules by the same values the first is the reason.
        rules.setdefault(provider, (number, rule.name, kind, provider or "email"))
    never, rule_by, by_email = book.never, rules.get, rules.get(None)

    def read(fields: Record) -> PlainEvidence | None:
        lookup, keys = list[bytes](), list[bytes]()
        reason, value = None, ""
        for address in _addresses(fields):
            lower = address.lower()
            if lower in never or not _is_plain(address):
                return None
            key = digest_bytes("email", lower)
            keys.append(key)
            if by_email is not None:
                lookup.append(key)
                if reason is None:
                    reason, value = by_email, address
        for one in fields.get("identifiers") or ():
            provider, own = one["provider"], one["id"]
            lower = own.lower()
            if lower in never or len(one) > 2 or not _is_plain(own):
                return None
            key = digest_bytes("identifier", provider, lower if provider == EMAIL_PROVIDER else own)
            keys.append(key)
            rule = rule_by(provider)
            if rule is not None:
                lookup.append(key)
                if reason is None or rule < reason:
                    reason, value = rule, own
        if len(keys) > 1:
            if len({*keys}) < len(keys):
                return None
            keys.sort()
        if reason is None:
            return PlainEvidence(lookup, keys, None, [])
        _, name, kind, named = reason
        return PlainEvidence(lookup, keys, name, [{kind: named, "value": value}])

    return read


def _addresses(fields: Record) -> Sequence[str]:
    """Return the e-mail addresses of a person, `email` first."""
    email = fields.get("email")
    emails: Sequence[str] = fields.get("emails") or ()
    if email is None or (len(emails) == 1 and emails[0] == email):
        return emails
    return [email, *[one for one in emails if one != email]]
