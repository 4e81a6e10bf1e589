"""Screens of orders: the Orders tab of a guest, and the page of one order."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.audiences import traits
from innkeeper.actions.events import quarantine
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records import orders
from innkeeper.actions.records.children import PARTS, Children
from innkeeper.actions.records.extensions import OF_ORDER_ITEMS, OF_ORDERS, Extensions
from innkeeper.actions.records.order_items import ITEMS
from innkeeper.actions.records.order_people import CONSUMERS, CONTACTS
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.orders import Order, OrderConsumer, OrderContact, OrderItem
from innkeeper.rules.traits import ORDER_COUNT
from innkeeper.web.ui.bounded import EXTENSIONS, ROWS, TEXT_CHARACTERS
from innkeeper.web.ui.downloads import (
    StreamedObject,
    read_extensions,
    read_pages,
    streamed_json_file,
)
from innkeeper.web.ui.formatting import title_words
from innkeeper.web.ui.guests import load_guest, revenue_of
from innkeeper.web.ui.shell import PageRoute, Visit

ITEM_EXTENSIONS: Final = 5
"""Data extensions of one item in the page of an order."""
ITEM_CHARACTERS: Final = 200
"""Most characters of one text of such an extension."""

Objects = AsyncIterator[StreamedObject]


async def list_of_guest(visit: Visit) -> Response:
    """Show the orders of which a guest is a contact or consumer, the latest first."""
    guest, frame = await load_guest(visit)
    is_descending = visit.query_text("sort") != "ordered"
    page_request = replace(
        visit.page_request,
        filters={"guest_ref": guest["ref"]},
        sort=(("ordered_at", is_descending),),
    )
    page = await orders.list_(visit.work, page_request)
    numbers = await ITEMS.count_of_many(visit.work, [each["ref"] for each in page.items])
    values = await traits.compute_for_guest(
        visit.work, guest["ref"], include_relative=False, entity="order"
    )
    return visit.show(
        "guest_orders.html",
        **frame,
        page=page,
        numbers=numbers,
        sort=("ordered", is_descending),
        revenue=revenue_of(values),
        bought=values.get(ORDER_COUNT) or 0,
    )


async def show_one(visit: Visit) -> Response:
    """Show an order with its items, people and extensions."""
    parts = await _parts(visit)
    guest = next((each["guest_ref"] for each in [*parts.contacts, *parts.consumers]), None)
    quarantined = await quarantine.of_order(visit.work, parts.order["ref"])
    return visit.show(
        "order.html",
        order=parts.order,
        facts=_facts(parts.order),
        waiting=quarantined,
        is_incomplete=not all(each.is_part for each in quarantined),
        items=parts.items,
        totals=parts.totals,
        of_items=parts.of_items,
        people=[("Contacts", parts.contacts), ("Consumers", parts.consumers)],
        others=parts.others,
        extensions=parts.extensions,
        guest=guest,
    )


async def file(visit: Visit) -> Response:
    """Return a whole order as a JSON file, whose parts are read while it is sent."""
    ref = visit.ref("order")
    order = await orders.fetch(visit.work, ref)

    def children(kind: Children) -> Callable[[], Objects]:
        async def read() -> Objects:
            async for each in read_pages(visit.lend, partial(kind.list_, order=ref)):
                yield StreamedObject(partial(visit.veil, each, kind.resource))

        return read

    lists: dict[str, Callable[[], Objects]] = {
        "items": partial(_items, visit, ref),
        "contacts": children(CONTACTS),
        "consumers": children(CONSUMERS),
        **{part.plural: children(kind) for part, kind in PARTS.items()},
        "extensions": partial(_extensions, visit, OF_ORDERS, ref),
    }
    whole = StreamedObject(partial(visit.veil, order, Order), lists)
    return streamed_json_file(f"order-{ref}", visit.database.limits.downloads, whole)


async def _items(visit: Visit, order: UUID) -> Objects:
    async for item in read_pages(visit.lend, partial(ITEMS.list_, order=order)):
        extensions = partial(_extensions, visit, OF_ORDER_ITEMS, item["ref"])
        yield StreamedObject(partial(visit.veil, item, OrderItem), {"extensions": extensions})


async def _extensions(visit: Visit, kind: Extensions, parent: UUID) -> Objects:
    async for each in read_extensions(visit.lend, kind, parent):
        yield StreamedObject(partial(visit.veil_extension, each))


@dataclass(frozen=True, slots=True)
class _OrderPage:
    """An order with its parts, as the visitor may see them."""

    order: Record
    items: list[Record]
    of_items: dict[UUID, list[Record]]
    contacts: list[Record]
    consumers: list[Record]
    extensions: list[Record]
    others: list[tuple[str, list[str], list[Record]]]
    """Parts that need nothing but their declaration: (title, fields, records) of each kind."""
    totals: dict[str, int]
    """Kind of parts -> their total; the lists above may contain fewer."""


async def _parts(visit: Visit) -> _OrderPage:
    """Fetch an order with as many of each of its parts as a page shows."""
    ref, page_request = visit.ref("order"), PageRequest(limit=ROWS)
    order = visit.veil(await orders.fetch(visit.work, ref), Order)
    item_page = await ITEMS.list_(visit.work, page_request, order=ref)
    items = [visit.veil(each, OrderItem) for each in item_page.items]
    contacts = await CONTACTS.list_(visit.work, page_request, order=ref)
    consumers = await CONSUMERS.list_(visit.work, page_request, order=ref)
    refs = [item["ref"] for item in items]
    of_items = await OF_ORDER_ITEMS.of_many_cut(
        visit.work, refs, ITEM_EXTENSIONS, ROWS, ITEM_CHARACTERS + 1
    )
    pages = {
        part: await kind.list_(visit.work, page_request, order=ref) for part, kind in PARTS.items()
    }
    most = TEXT_CHARACTERS + 1
    extensions = await OF_ORDERS.of_one_cut(visit.work, ref, EXTENSIONS, most)
    return _OrderPage(
        order,
        items,
        {ref: _shortened(visit.veil_extensions(each)) for ref, each in of_items.items()},
        [visit.veil(each, OrderContact) for each in contacts.items],
        [visit.veil(each, OrderConsumer) for each in consumers.items],
        visit.veil_extensions(extensions.items),
        [
            (
                title_words(part.plural),
                _declared(part),
                [visit.veil(each, part) for each in page.items],
            )
            for part, page in pages.items()
        ],
        {
            **{"Items": item_page.total, "Contacts": contacts.total, "Consumers": consumers.total},
            **{title_words(part.plural): page.total for part, page in pages.items()},
        },
    )


def _shortened(extensions: list[Record]) -> list[Record]:
    """Shorten the texts in data extensions of an item to `ITEM_CHARACTERS`."""
    return [
        {**each, "pairs": {key: _beginning(value) for key, value in each["pairs"].items()}}
        for each in extensions
    ]


def _beginning(value: Any) -> Any:
    is_long = isinstance(value, str) and len(value) > ITEM_CHARACTERS
    return f"{value[:ITEM_CHARACTERS]}…" if is_long else value


def _declared(part: type[Resource]) -> list[str]:
    """List the fields of a part that callers write, and when it was created."""
    return [*(name for name, field in part.fields.items() if not field.owned), "created_at"]


def _facts(order: Record) -> list[tuple[str, Any]]:
    """List the other fields of an order that have a value: (name, value)."""
    names = ("point_of_sale", "channel", "payment_type", "card_type")
    facts = {name: order[name] for name in names if order.get(name)}
    if "channel" in facts:
        facts["channel"] = title_words(facts["channel"].lower())
    return list(facts.items())


PAGES: Final = (
    PageRoute("/guests/{guest}/orders", list_of_guest),
    PageRoute("/orders/{order}", show_one),
    PageRoute("/orders/{order}/file", file),
)
