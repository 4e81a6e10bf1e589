"""Filters of lists of guests (rest-v2.1.md G-8 to G-13): they find whom identity rules would."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from innkeeper.resources.base import Record
from innkeeper.rules.identity import keys_with_field
from innkeeper.rules.identity_keys import email_key, identifier_key, reference_key
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.normalize import without_extension
from innkeeper.rules.placeholders import identifies_nobody
from innkeeper.store.work import Json

BY_RULES: Final = frozenset({"identifier", "phone_number"})
"""Filters that follow the identity rules and guards in force."""
_LEAST_DIGITS: Final = 6
"""Digits of a phone number from which on it is among the words of a guest."""


@dataclass(slots=True)
class ListQuery:
    """What some filters are in SQL: names of conditions and of sort keys, and their parameters."""

    follows_rules: bool
    parts: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    """Sort keys that put exact matches first (G-9)."""
    params: dict[str, Any] = field(default_factory=dict)

    def add(self, part: str, exact: str | None = None, /, **params: Any) -> None:
        """One more condition, and the sort key of its exact matches."""
        self.parts.append(f"guests.{part}")
        self.order += [f"guests.{exact}"] if exact else []
        self.params |= params


def of(filters: Mapping[str, Any], book: IdentityRules | None = None) -> ListQuery:
    """What `filters` ask for; `book` is needed for those `BY_RULES`."""
    query = ListQuery(follows_rules=book is not None)
    members: Record = {}
    for name, value in filters.items():
        match name:
            case "email":
                query.add("by_email", "exact_email", email=value, email_key=email_key(value))
            case "email_untouched":
                key = email_key(value)
                query.add("by_email_untouched", untouched=value, untouched_key=key)
            case "identifier" if book is not None:
                provider, identifier = value
                _add_identifier(query, provider, identifier, book)
            case "phone_number" if book is not None:
                _add_phone_number(query, value, filters, book)
            case "order_reference_id":
                key = reference_key(value)
                query.add("by_order_reference_id", order_reference_id=value, reference_key=key)
            case "guest_type" | "order_ref":
                query.add(f"by_{name}", **{name: value})
            case _:
                members[name] = value
    if members:
        query.add("by_member", members=Json(members))
    return query


def _add_identifier(query: ListQuery, provider: str, value: str, book: IdentityRules) -> None:
    params = {
        "identifier_key": identifier_key(provider, value),
        "identifier": Json([{"provider": provider, "id": value}]),
    }
    if identifies_nobody(value, book.never):
        query.add("by_exact_identifier", **params)
    else:
        query.add("by_identifier", "exact_identifier", **params)


def _add_phone_number(
    query: ListQuery, value: str, filters: Mapping[str, Any], book: IdentityRules
) -> None:
    number, _ = without_extension(value)
    if sum(map(number.count, "0123456789")) < _LEAST_DIGITS:
        query.add("by_phone_text", phone_number=value)
        return
    # Another filter may be what a rule over several fields needs beside the phone number.
    asked = {name: one for name, one in filters.items() if isinstance(one, str)}
    keys = keys_with_field("phone", {**asked, "phone_numbers": [value]}, book)
    query.add("by_phone_number", "exact_phone_number", phone_number=value, phone_keys=keys)
