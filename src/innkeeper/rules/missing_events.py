"""Which cart events a CHECKOUT lacks, because they wait in quarantine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from innkeeper.resources import events

TYPES: Final = events.CART_TYPES - {events.ORDER_CHECKOUT}
INCOMPLETE: Final = "events of the cart wait in quarantine"
"""Flag of a CHECKOUT whose order lacks some."""
_DECIDE_PRICE: Final = frozenset({events.ADD, events.CONFIRM, events.CLEAR_CART})
_EMPTY: Final = frozenset({events.CHECKOUT, events.CLEAR_CART})


@dataclass(frozen=True, slots=True)
class QuarantinedEvent:
    """An event in quarantine, or with `is_part` some members of one that is attached."""

    ref: UUID
    type: str
    at: datetime
    message: Mapping[str, Any]
    is_part: bool = False

    @property
    def decides_price(self) -> bool:
        """Whether the price of its order is not known without it."""
        return not self.is_part and self.type in _DECIDE_PRICE


@dataclass(frozen=True, slots=True)
class Checkout:
    """A CHECKOUT as far as it matters what came before it."""

    reference_id: str
    channel: str
    started_at: datetime
    """When its session began, the CHECKOUT included."""
    timeout: timedelta
    earlier: Sequence[tuple[datetime, str, Mapping[str, Any]]] = ()
    """Time, type and members of the attached events of its session before it."""


def missing_from(checkout: Checkout, waiting: Iterable[QuarantinedEvent]) -> list[QuarantinedEvent]:
    """Of what waits of a browser, the latest first, what would be of the cart of a CHECKOUT.

    As sessions are: each within the timeout of the next, and none from before the cart was
    emptied. An ADD that a later one of its `item_id` replaced is not missed.
    """
    emptied = max((at for at, type_, _ in checkout.earlier if type_ in _EMPTY), default=None)
    start = checkout.started_at
    found = []
    for one in waiting:
        if _channel(one.message) not in ("", checkout.channel):
            continue
        is_before = emptied is not None and one.at < emptied
        if is_before or start - one.at > checkout.timeout or _is_another(one, checkout):
            break
        start = min(start, one.at)
        if one.type == events.CHECKOUT or _is_replaced(one, checkout):
            continue
        found.append(one)
        if one.type == events.CLEAR_CART and not one.is_part:
            break
    return found


def _is_another(one: QuarantinedEvent, checkout: Checkout) -> bool:
    """Whether it would have bought what came before it, for another order."""
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
