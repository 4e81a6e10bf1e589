"""Carts of sessions: apply events, compute the purchase and the outcome (stream-api.md 5).

A cart is JSON, stored with its session:

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
    """The lines, people and price of a CHECKOUT."""

    lines: dict[str, dict[str, Any]]
    contacts: list[dict[str, Any]]
    consumers: list[dict[str, Any]]
    price: Total
    currency: str | None
    payment: str | None


def applied(cart: Cart | None, type_: str, message: Mapping[str, Any], at: datetime) -> Cart:
    """Return a new cart with a cart event applied; `cart` is not modified."""
    after: Cart = {**(cart or EMPTY), "at": iso(at)}
    match type_:
        case events.ADD:
            product = message["product"]
            # A line of the same item is replaced at its position.
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


def check_room(carts: Iterable[Cart | None], type_: str, message: Mapping[str, Any]) -> None:
    """Raise `InvalidEvent` for an ADD of a new item to a full cart.

    The size is limited because each cart event writes the whole cart.
    """
    if type_ != events.ADD:
        return
    for cart in carts:
        lines = (cart or EMPTY).get("lines", {})
        if len(lines) >= MOST_LINES and message["product"]["item_id"] not in lines:
            raise InvalidEvent(BAD_ATTRIBUTES, f"product: the cart has {MOST_LINES} lines already")


def purchase(cart: Cart | None) -> CartPurchase:
    """Return what a CHECKOUT buys: the confirmed lines, or all lines if none are confirmed."""
    current = cart or EMPTY
    lines: dict[str, dict[str, Any]] = current.get("lines", {})
    if "confirmed" in current:
        # A confirmed id that was never added is ignored.
        lines = {name: lines[name] for name in current["confirmed"] if name in lines}
    currencies = (line.get("currency") for line in lines.values())
    return CartPurchase(
        lines,
        current.get("contacts", []),
        current.get("consumers", []),
        total(lines),
        next(filter(None, currencies), None),
        current.get("payment"),
    )


def total(lines: Mapping[str, Mapping[str, Any]]) -> Total:
    """Return the sum of quantity times price over all lines, in decimal."""
    return sum(filter(None, (line_total(dict(line)) for line in lines.values())))


def cart_type(cart: Cart | None) -> str:
    """Return the outcome of a cart at the end of its session."""
    current = cart or EMPTY
    if current.get("converted"):
        return events.CONVERTED
    if current.get("lines"):
        return events.ABANDONED
    return events.CLOSED if current.get("cleared") else events.BROWSED


def abandoned_revenue(cart: Cart | None) -> Total | None:
    """Return the total of an abandoned cart; None for any other cart."""
    return total((cart or EMPTY)["lines"]) if cart_type(cart) == events.ABANDONED else None


def in_order(cart: Cart | None, at: datetime) -> bool:
    """Whether a cart event at `at` is later than every cart event applied so far."""
    return cart is None or iso(at) >= cart["at"]


def _without(cart: Cart, *names: str) -> Cart:
    return {name: value for name, value in cart.items() if name not in names}
