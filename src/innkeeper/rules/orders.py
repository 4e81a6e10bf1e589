"""Decisions about orders: which orders are the same, what may change, what identifies a person."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final

from innkeeper.errors import Invalid, Problem, missing
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import Person
from innkeeper.resources.kinds import OneOf
from innkeeper.resources.orders import Order, OrderPerson
from innkeeper.resources.values import ValueRefused, instant
from innkeeper.rules.guests import mirror_email

COLUMNS: Final = frozenset(name for name, field in Order.fields.items() if field.column)
"""Fields of an order that have a column of their own."""
TOLERANCE: Final = timedelta(hours=48)
"""Orders of one referenceId within this time, inclusive, are the same order (O-2)."""
# Enough digits that no product of a storable price is rounded.
_EXACT: Final = Context(prec=1000)

Show = Callable[[Any], Any]


def one_order(first: datetime, second: datetime) -> bool:
    """Whether two orders of one referenceId are the same order (O-1, O-2)."""
    return abs(first - second) <= TOLERANCE


def without_fixed(stored: Record, changes: Changes) -> Changes:
    """Return `changes` without referenceId and orderedAt, which cannot change (O-4).

    Raises `Invalid` if one of them would make it a different order.
    """
    problems = []
    if changes.get("reference_id", stored["reference_id"]) != stored["reference_id"]:
        problems.append(Problem("referenceId", "cannot be updated"))
    ordered_at = changes.get("ordered_at")
    if ordered_at is not None and not one_order(instant(ordered_at), stored["ordered_at"]):
        problems.append(Problem("orderedAt", "cannot be updated"))
    if problems:
        raise Invalid(*problems)
    fixed = {"reference_id", "ordered_at"}
    return {name: value for name, value in changes.items() if name not in fixed}


def replacement(stored: Record, changes: Changes, visible: Mapping[str, Show]) -> Changes:
    """Return `changes` with every other stored field cleared (O-5).

    `visible`: field -> function that shows it to the caller. A field keeps its stored value if the
    sent value looks the same to the caller, so a caller who cannot see a field cannot clear it
    (N-17, N-22).
    """
    whole: Changes = {**dict.fromkeys(stored), **changes}
    for name, show in visible.items():
        if show(whole.get(name)) == show(stored.get(name)):
            whole.pop(name, None)
    return whole


def line_total(item: Record) -> Decimal | int | None:
    """Return quantity times price in decimal: three of 0.1 are 0.3. None if either is missing."""
    price, quantity = item.get("price"), item.get("quantity")
    if price is None or quantity is None:
        return None
    return price * quantity if isinstance(price, int) else _EXACT.multiply(price, quantity)


def order_person(changes: Changes) -> Record:
    """Return the fields of a contact or consumer of a record, as the order stores them."""
    # Parsed by the types of an order's person already: no further validation.
    fields = mirror_email(changes)
    return {
        name: value for name, value in fields.items() if value is not None and name in Person.fields
    }


IDENTIFIABLE: Final = (("identifiers",), ("guest_ref",), ("emails",), ("first_name", "last_name"))
"""Groups of fields; a person with values for a whole group may match a guest (P-1)."""


def is_identifiable(person: Changes) -> bool:
    """Whether a person has fields that may match a guest (P-1)."""
    return any(all(person.get(name) for name in group) for group in IDENTIFIABLE)


def check_identifiable(person: Changes) -> None:
    """Raise `Invalid` for a person without any fields that may match a guest (P-1)."""
    if not is_identifiable(person):
        raise Invalid(missing("firstName"))


def person_of(guest: Record) -> Changes:
    """Return the fields of a contact that only links to a guest (O-10)."""
    person: Changes = {}
    for name in Person.fields:
        value = guest.get(name)
        kind = OrderPerson.fields[name].kind
        if value is None:
            continue
        try:
            person[name] = kind.read(value.lower() if isinstance(kind, OneOf) else value)
        except ValueRefused:
            # A guest's gender is free text, a contact's is one of a closed set.
            continue
    return person


def has_new_evidence(before: Record, after: Record) -> bool:
    """Whether a change adds an identifier or e-mail address (P-5)."""
    return not set(_evidence(after)) <= set(_evidence(before))


def _evidence(person: Record) -> Iterator[tuple[str, str]]:
    for identifier in person.get("identifiers") or ():
        yield identifier["provider"], identifier["id"]
    for address in person.get("emails") or ():
        yield "", address
