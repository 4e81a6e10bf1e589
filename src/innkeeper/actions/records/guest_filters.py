"""Filters of lists of guests (rest-v2.1.md G-8 to G-13), which match as identity rules do."""

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
"""Fewest digits of a phone number that is indexed in `guest_words`."""


@dataclass(slots=True)
class ListQuery:
    """Filters as SQL: names of conditions and of sort keys, and their parameters."""

    follows_rules: bool
    parts: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    """Sort keys that put exact matches first (G-9)."""
    params: dict[str, Any] = field(default_factory=dict)

    def add(self, part: str, exact: str | None = None, /, **params: Any) -> None:
        """Add a condition, and the sort key that puts its exact matches first."""
        self.parts.append(f"guests.{part}")
        self.order += [f"guests.{exact}"] if exact else []
        self.params |= params


def build_query(filters: Mapping[str, Any], book: IdentityRules | None = None) -> ListQuery:
    """Build the query of `filters`; `book` is required for those in `BY_RULES`."""
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
    """Add the filter for an identifier: exact if its value never identifies, else by rules."""
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
    """Add the filter for a phone number: by index, or by text if it has too few digits."""
    number, _ = without_extension(value)
    if sum(map(number.count, "0123456789")) < _LEAST_DIGITS:
        query.add("by_phone_text", phone_number=value)
        return
    # A rule over several fields may also need the fields of other filters.
    fields = {name: one for name, one in filters.items() if isinstance(one, str)}
    keys = keys_with_field("phone", {**fields, "phone_numbers": [value]}, book)
    query.add("by_phone_number", "exact_phone_number", phone_number=value, phone_keys=keys)
