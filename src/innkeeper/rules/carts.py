"""Carts: what a session puts into its basket, buys or leaves behind (stream-api.md 5).

A cart is JSON, as the session keeps it:

    {"lines": {item_id: product}, "confirmed": [item_id] or absent, "contacts": [person],
     "consumers": [person], "payment": "Card", "cleared": true, "orders": [ref], "at": instant}
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from innkeeper.resources import events
from innkeeper.resources.values import iso
from innkeeper.rules.orders import line_total
from innkeeper.rules.stream import BAD_ATTRIBUTES, InvalidEvent

Cart = dict[str, Any]
Total = int | Decimal
EMPTY: Final[Mapping[str, Any]] = {}
MOST_LINES: Final = 500
_COLLECTED: Final = ("lines", "confirmed", "contacts", "consumers")


@dataclass(frozen=True, slots=True)
class CartPurchase:
    """What a CHECKOUT buys."""

    lines: dict[str, dict[str, Any]]
    contacts: list[dict[str, Any]]
    consumers: list[dict[str, Any]]
    price: Total
    currency: str | None
    payment: str | None


def applied(cart: Cart | None, type_: str, message: Mapping[str, Any], at: datetime) -> Cart:
    """The cart after an event of the types that change one; the given one stays as it is."""
    after: Cart = {**(cart or EMPTY), "at": iso(at)}
    match type_:
        case events.ADD:
            product = message["product"]
            # A line of the same item is replaced, and keeps its place.
            after["lines"] = {**after.get("lines", {}), product["item_id"]: product}
        case events.ADD_CONTACTS:
            after["contacts"] = message["contact"]
        case events.ADD_CONSUMERS:
            after["consumers"] = message["consumer"]
        case events.CONFIRM:
            after["confirmed"] = [product["item_id"] for product in message["product"]]
        case events.PAYMENT:
            after["payment"] = message["pay_type"]
        case events.CHECKOUT:
            bought = purchase(cart).lines
            left = {
                name: line for name, line in after.get("lines", {}).items() if name not in bought
            }
            after = _without(after, *_COLLECTED, "payment") | ({"lines": left} if left else {})
            after["converted"] = True
        case events.ORDER_CHECKOUT:
            after["converted"] = True
        case events.CLEAR_CART:
            after = _without(after, *_COLLECTED) | {"cleared": True}
        case _:
            raise ValueError(f"{type_} does not change a cart")
    return after


def check_room(held: Iterable[Cart | None], type_: str, message: Mapping[str, Any]) -> None:
    """Raise `Misused` for an ADD of an item that full carts have no line for: each event of a cart
    writes all of it."""
    if type_ != events.ADD:
        return
    for cart in held:
        lines = (cart or EMPTY).get("lines", {})
        if len(lines) >= MOST_LINES and message["product"]["item_id"] not in lines:
            raise InvalidEvent(BAD_ATTRIBUTES, f"product: the cart has {MOST_LINES} lines already")


def purchase(cart: Cart | None) -> CartPurchase:
    """What a CHECKOUT would buy now: confirmed lines, or all when none were confirmed."""
    held = cart or EMPTY
    lines: dict[str, dict[str, Any]] = held.get("lines", {})
    if "confirmed" in held:
        # A confirmed id that was never added is no line.
        lines = {name: lines[name] for name in held["confirmed"] if name in lines}
    currencies = (line.get("currency") for line in lines.values())
    return CartPurchase(
        lines,
        held.get("contacts", []),
        held.get("consumers", []),
        total(lines),
        next(filter(None, currencies), None),
        held.get("payment"),
    )


def total(lines: Mapping[str, Mapping[str, Any]]) -> Total:
    """Quantity times price of every line, in decimal."""
    return sum(filter(None, (line_total(dict(line)) for line in lines.values())))


def cart_type(cart: Cart | None) -> str:
    """What became of a cart once its session is over."""
    held = cart or EMPTY
    if held.get("converted"):
        return events.CONVERTED
    if held.get("lines"):
        return events.ABANDONED
    return events.CLOSED if held.get("cleared") else events.BROWSED


def abandoned_revenue(cart: Cart | None) -> Total | None:
    """What the lines of an abandoned cart would have brought; None for any other cart."""
    return total((cart or EMPTY)["lines"]) if cart_type(cart) == events.ABANDONED else None


def in_order(cart: Cart | None, at: datetime) -> bool:
    """Whether an event that changes the cart comes after all that did so before."""
    return cart is None or iso(at) >= cart["at"]


def _without(cart: Cart, *names: str) -> Cart:
    return {name: value for name, value in cart.items() if name not in names}
