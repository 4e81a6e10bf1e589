"""The Orders tab of a guest, and the page of one order."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.events import quarantine
from innkeeper.actions.paging import EVERYTHING, PageRequest
from innkeeper.actions.records import order_items, orders
from innkeeper.actions.records.extensions import OF_ORDER_ITEMS, OF_ORDERS
from innkeeper.actions.records.order_people import CONSUMERS, CONTACTS
from innkeeper.resources.base import Record
from innkeeper.resources.orders import Order, OrderConsumer, OrderContact, OrderItem
from innkeeper.web.ui.bounded import ROWS
from innkeeper.web.ui.downloads import json_file
from innkeeper.web.ui.formatting import worded
from innkeeper.web.ui.guests import opened
from innkeeper.web.ui.rendering import PAGE_SIZE
from innkeeper.web.ui.shell import PageRoute, Visit


async def of_guest(visit: Visit) -> Response:
    """The orders that a guest is a contact or consumer of, the latest first."""
    guest, frame = await opened(visit)
    wanted = PageRequest(
        visit.offset, PAGE_SIZE, {"guest_ref": guest["ref"]}, (("ordered_at", True),)
    )
    page = await orders.list_(visit.work, wanted)
    items = await order_items.of_many(visit.work, [order["ref"] for order in page.items])
    return visit.show("guest_orders.html", **frame, page=page, items=items)


async def one(visit: Visit) -> Response:
    """An order with its items, people and extensions."""
    found = await _parts(visit, PageRequest(limit=ROWS))
    guest = next((each["guest_ref"] for each in [*found.contacts, *found.consumers]), None)
    waiting = await quarantine.of_order(visit.work, found.order["ref"])
    return visit.show(
        "order.html",
        order=found.order,
        facts=_facts(found.order),
        waiting=waiting,
        is_incomplete=not all(each.is_part for each in waiting),
        items=found.items,
        totals=found.totals,
        of_items=found.of_items,
        people=[("Contacts", found.contacts), ("Consumers", found.consumers)],
        extensions=found.extensions,
        guest=guest,
    )


async def file(visit: Visit) -> Response:
    """All of an order as a file."""
    found = await _parts(visit, EVERYTHING)
    items = [{**each, "extensions": found.of_items.get(each["ref"], [])} for each in found.items]
    parts = {"items": items, "contacts": found.contacts, "consumers": found.consumers}
    whole = {**found.order, **parts, "extensions": found.extensions}
    return await json_file(f"order-{found.order['ref']}", whole)


@dataclass(frozen=True, slots=True)
class _OrderPage:
    """An order with its parts, as the visitor may see them."""

    order: Record
    items: list[Record]
    of_items: dict[UUID, list[Record]]
    contacts: list[Record]
    consumers: list[Record]
    extensions: list[Record]
    totals: dict[str, int]
    """How many parts of each kind there are in all."""


async def _parts(visit: Visit, page_request: PageRequest) -> _OrderPage:
    """An order with so many of each of its parts."""
    ref = visit.ref("order")
    order = visit.veil(await orders.fetch(visit.work, ref), Order)
    found = await order_items.list_(visit.work, page_request, order=ref)
    items = [visit.veil(each, OrderItem) for each in found.items]
    contacts = await CONTACTS.list_(visit.work, page_request, order=ref)
    consumers = await CONSUMERS.list_(visit.work, page_request, order=ref)
    of_items = await OF_ORDER_ITEMS.of_many(visit.work, [item["ref"] for item in items])
    return _OrderPage(
        order,
        items,
        {ref: visit.veil_extensions(each) for ref, each in of_items.items()},
        [visit.veil(each, OrderContact) for each in contacts.items],
        [visit.veil(each, OrderConsumer) for each in consumers.items],
        visit.veil_extensions(await OF_ORDERS.of_one(visit.work, ref)),
        {"Items": found.total, "Contacts": contacts.total, "Consumers": consumers.total},
    )


def _facts(order: Record) -> list[tuple[str, Any]]:
    """What else is known of an order."""
    names = ("point_of_sale", "channel", "payment_type", "card_type")
    known = {name: order[name] for name in names if order.get(name)}
    if "channel" in known:
        known["channel"] = worded(known["channel"].lower())
    return list(known.items())


PAGES: Final = (
    PageRoute("/guests/{guest}/orders", of_guest),
    PageRoute("/orders/{order}", one),
    PageRoute("/orders/{order}/file", file),
)
