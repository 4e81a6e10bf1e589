"""Find the cart events that an order lacks because they are in quarantine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from innkeeper.resources import events

TYPES: Final = events.CART_TYPES - {events.ORDER_CHECKOUT}
INCOMPLETE: Final = "events of the cart wait in quarantine"
"""Flag of a CHECKOUT whose order lacks events."""
_DECIDE_PRICE: Final = frozenset({events.ADD, events.CONFIRM, events.CLEAR_CART})
_EMPTY: Final = frozenset({events.CHECKOUT, events.CLEAR_CART})


@dataclass(frozen=True, slots=True)
class QuarantinedEvent:
    """An event in quarantine, or with `is_part` invalid members of an attached event."""

    ref: UUID
    type: str
    at: datetime
    message: Mapping[str, Any]
    is_part: bool = False

    @property
    def decides_price(self) -> bool:
        """Whether the price of the order is unknown without this event."""
        return not self.is_part and self.type in _DECIDE_PRICE


@dataclass(frozen=True, slots=True)
class Checkout:
    """A CHECKOUT, with what is needed to find the events of its cart."""

    reference_id: str
    channel: str
    started_at: datetime
    """Start of its session, including the CHECKOUT."""
    timeout: timedelta
    earlier: Sequence[tuple[datetime, str, Mapping[str, Any]]] = ()
    """Time, type and members of the attached events of its session before it."""


def missing_from(checkout: Checkout, waiting: Iterable[QuarantinedEvent]) -> list[QuarantinedEvent]:
    """Return the quarantined events that belong to the cart of a CHECKOUT.

    `waiting`: the browser's quarantined events, latest first. Like the events of a session, each
    must be within the timeout of the next, and later than the last event that emptied the cart. An
    ADD is not missing if a later ADD replaced the same `item_id`.
    """
    emptied = max((at for at, type_, _ in checkout.earlier if type_ in _EMPTY), default=None)
    start = checkout.started_at
    missing = []
    for one in waiting:
        if _channel(one.message) not in ("", checkout.channel):
            continue
        is_before = emptied is not None and one.at < emptied
        if is_before or start - one.at > checkout.timeout or _is_another(one, checkout):
            break
        start = min(start, one.at)
        if one.type == events.CHECKOUT or _is_replaced(one, checkout):
            continue
        missing.append(one)
        if one.type == events.CLEAR_CART and not one.is_part:
            break
    return missing


def _is_another(one: QuarantinedEvent, checkout: Checkout) -> bool:
    """Whether it is a CHECKOUT of another order, which takes the earlier events."""
    if one.type != events.CHECKOUT or one.is_part:
        return False
    reference = one.message.get("reference_id")
    return reference is not None and str(reference).strip() != checkout.reference_id


def _is_replaced(one: QuarantinedEvent, checkout: Checkout) -> bool:
    item = _item(one.message)
    if one.type != events.ADD or one.is_part or item is None:
        return False
    return any(
        type_ == events.ADD and at >= one.at and _item(members) == item
        for at, type_, members in checkout.earlier
    )


def _item(message: Mapping[str, Any]) -> str | None:
    product = message.get("product")
    item = product.get("item_id") if isinstance(product, Mapping) else None
    return None if item is None else str(item).strip()


def _channel(message: Mapping[str, Any]) -> str:
    channel = message.get("channel")
    return channel.strip().upper() if isinstance(channel, str) else ""
