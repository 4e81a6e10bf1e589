"""Decisions about orders: which are one, what may change, who a person on one is."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final

from innkeeper.errors import Invalid, Problem, missing
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import Person
from innkeeper.resources.kinds import OneOf
from innkeeper.resources.orders import OrderPerson
from innkeeper.resources.values import ValueRefused, instant

REACH: Final = timedelta(hours=48)
"""Orders of one referenceId this close are one order, both ends included (O-2)."""
# Wide enough that no product of a storable price is rounded.
_EXACT: Final = Context(prec=1000)

Show = Callable[[Any], Any]


def one_order(first: datetime, second: datetime) -> bool:
    """Whether two orders of one referenceId are the same order (O-1, O-2)."""
    return abs(first - second) <= REACH


def without_fixed(stored: Record, changes: Changes) -> Changes:
    """`changes` without referenceId and orderedAt, which stay as they are (O-4).

    Raises `Invalid` where one of them would make it another order.
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


def replacement(stored: Record, changes: Changes, kept: Mapping[str, Show]) -> Changes:
    """`changes` with every stored field cleared that was not sent (O-5).

    `kept` holds how fields are shown to the caller: one keeps its value when what was sent
    shows the same, so a caller who cannot see a field cannot lose it either (N-17, N-22).
    """
    whole: Changes = {**dict.fromkeys(stored), **changes}
    for name, show in kept.items():
        if show(whole.get(name)) == show(stored.get(name)):
            whole.pop(name, None)
    return whole


def line_total(item: Record) -> Decimal | int | None:
    """Quantity times price in decimal: three of 0.1 are 0.3. None when either is unknown."""
    price, quantity = item.get("price"), item.get("quantity")
    if price is None or quantity is None:
        return None
    return price * quantity if isinstance(price, int) else _EXACT.multiply(price, quantity)


IDENTIFIABLE: Final = (
    ("identifiers",),
    ("guest_ref",),
    ("emails",),
    ("first_name", "last_name"),
)
"""Fields any group of which, with values, could lead to a guest (P-1)."""


def is_identifiable(person: Changes) -> bool:
    """Whether anything is told of a person that could lead to a guest (P-1)."""
    return any(all(person.get(name) for name in group) for group in IDENTIFIABLE)


def check_identifiable(person: Changes) -> None:
    """Refuse a person of whom nothing is told that could lead to a guest (P-1)."""
    if not is_identifiable(person):
        raise Invalid(missing("firstName"))


def person_of(guest: Record) -> Changes:
    """What an order tells of a guest who is linked to it without being described (O-10)."""
    person: Changes = {}
    for name in Person.fields:
        value = guest.get(name)
        kind = OrderPerson.fields[name].kind
        if value is None:
            continue
        try:
            person[name] = kind.read(value.lower() if isinstance(kind, OneOf) else value)
        except ValueRefused:
            # A guest's gender is free text, a contact's is not.
            continue
    return person


def has_new_evidence(before: Record, after: Record) -> bool:
    """Whether a change names an identifier or e-mail address that was not told before (P-5)."""
    return not set(_evidence(after)) <= set(_evidence(before))


def _evidence(person: Record) -> Iterator[tuple[str, str]]:
    for identifier in person.get("identifiers") or ():
        yield identifier["provider"], identifier["id"]
    for address in person.get("emails") or ():
        yield "", address
