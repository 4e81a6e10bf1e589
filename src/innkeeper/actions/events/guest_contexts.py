"""The guest context: a guest with its orders, extensions and sessions in one response (VK-1)."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from innkeeper.actions.events import sessions
from innkeeper.actions.events.sessions import Behaviour
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records import guests, orders
from innkeeper.actions.records.extensions import OF_GUESTS
from innkeeper.actions.records.order_items import ITEMS
from innkeeper.resources.base import Record
from innkeeper.store.work import Work

ORDERS: Final = 20
"""Number of latest orders in a context if the request has no limit (identity.md 6)."""
MAX_ORDERS: Final = 100


@dataclass(frozen=True, slots=True)
class Context:
    """A guest with its orders, extensions and behaviour."""

    guest: Record
    orders: list[Record]
    items: dict[UUID, list[Record]]
    """Order -> its items."""
    extensions: list[Record]
    behaviour: Behaviour
    """The latest sessions of the guest with their latest events."""


async def fetch(work: Work, guest: UUID, offset: int = 0, limit: int = ORDERS) -> Context:
    """Fetch the context of a live guest, its latest orders first; raises `Unknown`."""
    row = await guests.fetch(work, guest)
    page_request = PageRequest(
        offset, min(limit, MAX_ORDERS), filters={"guest_ref": guest}, sort=(("ordered_at", True),)
    )
    page = await orders.list_(work, page_request)
    items = await ITEMS.of_many(work, [order["ref"] for order in page.items])
    extensions = await OF_GUESTS.every_of_many(work, [guest])
    behaviour = await sessions.of_guest(work, guest)
    return Context(row, page.items, items, extensions[guest], behaviour)


async def of_browser(work: Work, browser: UUID) -> UUID | None:
    """Return the live guest of a browser; None for an unknown browser (VK-2)."""
    row = await work.one("browsers.fetch", ref=browser)
    return row["guest_ref"] if row else None
