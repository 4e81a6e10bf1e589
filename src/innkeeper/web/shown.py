"""Answers' bodies: records as a view shows them, with what it embeds of their children."""

from asyncio import gather
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.records import extensions, order_items
from innkeeper.actions.records.order_people import CONSUMERS, CONTACTS
from innkeeper.actions.records.paging import MAX_LIMIT, Wanted
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.guests import Guest, GuestExtension
from innkeeper.resources.orders import (
    Order,
    OrderConsumer,
    OrderContact,
    OrderExtension,
    OrderItem,
    OrderItemExtension,
)
from innkeeper.store.work import Work
from innkeeper.wire import pages
from innkeeper.wire.encode import Encode, encoder, link_of
from innkeeper.wire.routes import OPEN, Operation
from innkeeper.wire.specials import Asked
from innkeeper.wire.views import View

ReadMany = Callable[[Work, Iterable[UUID]], Awaitable[dict[UUID, list[Record]]]]

CHILDREN: Final[dict[type[Resource], ReadMany]] = {
    GuestExtension: extensions.OF_GUESTS.of_many,
    OrderItem: order_items.of_many,
    OrderContact: CONTACTS.of_many,
    OrderConsumer: CONSUMERS.of_many,
    OrderExtension: extensions.OF_ORDERS.of_many,
    OrderItemExtension: extensions.OF_ORDER_ITEMS.of_many,
}
"""Resource -> who reads those of many parents at once."""

NAMED: Final[dict[type[Resource], ReadMany]] = {
    Guest: extensions.OF_GUESTS.every_of_many,
    Order: extensions.OF_ORDERS.every_of_many,
}
"""Resource -> who reads its data extensions, of every name and key."""

encoder_of: Callable[[View], Encode] = cache(encoder)
_link_of: Callable[[View, str], Callable[[Record, str], str]] = cache(link_of)


@dataclass(slots=True)
class Call(Asked):
    """One authenticated request for a verb of a resource."""

    operation: Operation
    view: View

    def url(self) -> str:
        """The absolute URL of this request's path, in its canonical spelling."""
        return self.base + self.operation.path.format_map(
            {name: str(value) for name, value in self.refs().items()}
        )

    def view_at(self, path: str) -> View:
        """The view of a collection of the same dialect, for the same key."""
        for entry in self.operation.dialect.views:
            open_view, official_view = entry if isinstance(entry, tuple) else (entry, entry)
            if open_view.path == path:
                return open_view if self.compatibility == OPEN else official_view
        raise LookupError(path)


async def shown(
    work: Work, call: Call, records: Sequence[Record], expand: bool | frozenset[str]
) -> list[dict[str, Any]]:
    """Records as the view shows them, with the children that `expand` names."""
    view = call.view
    encode = encoder_of(view)
    items = [encode(record, call.base) for record in records]
    embedded = {
        member: call.view_at(path)
        for member, path in view.children.items()
        if expand is True or (expand and member in expand)
    }
    arrays = {member: call.view_at(path) for member, path in view.arrays.items()}
    read = await _read_children(work, {*embedded.values(), *arrays.values()}, records)
    for member, child in embedded.items():
        found = read[child]
        for record, item in zip(records, items, strict=True):
            url = item[member]["href"]
            item[member] = _embedded(child, call.base, url, found[record["ref"]])
    for member, child in arrays.items():
        found = read[child]
        encode_child = encoder_of(child)
        for record, item in zip(records, items, strict=True):
            item[member] = [encode_child(each, call.base) for each in found[record["ref"]]]
    if view.extensions:
        await _add_extensions(work, call, records, items, expand)
    return items


async def _read_children(
    work: Work, views: Collection[View], records: Sequence[Record]
) -> dict[View, dict[UUID, list[Record]]]:
    """The children of all records, by view and parent, in one round trip."""
    if not views:
        return {}
    parents = [record["ref"] for record in records]
    reads = [CHILDREN[view.resource](work, parents) for view in views]
    if len(reads) == 1:
        return dict(zip(views, [await reads[0]], strict=True))
    async with work.at_once():
        return dict(zip(views, await gather(*reads), strict=True))


async def created(work: Work, call: Call, record: Record) -> dict[str, Any]:
    """What a create answers: its children as collections where the dialect wants it (VO-2)."""
    fresh = bool(record.get("fresh"))
    expand = call.view.create_expands and not fresh
    (item,) = await shown(work, call, [record], expand)
    if call.view.create_expands and fresh:
        for member in call.view.children:
            item[member]["items"] = []
    return item


def links(view: View, records: Iterable[Record], base: str) -> list[dict[str, Any]]:
    """List items that are not expanded (L-8)."""
    href = _link_of(view, view.item)
    own = ({"href": href(record, base), "ref": record["ref"]} for record in records)
    return [{name: item[name] for name in view.links} for item in own]


def _embedded(view: View, base: str, url: str, children: list[Record]) -> dict[str, Any]:
    encode = encoder_of(view)
    items = [encode(child, base) for child in children[:MAX_LIMIT]]
    return pages.envelope(view, url, {}, Wanted(limit=MAX_LIMIT), len(children), items)


async def _add_extensions(
    work: Work,
    call: Call,
    records: Sequence[Record],
    items: list[dict[str, Any]],
    expand: bool | frozenset[str],
) -> None:
    """A member `ext{name}` for each name of data extensions (VG-5)."""
    path = call.view.extensions
    view = call.view_at(path)
    collection = path.rpartition("{")[0].rpartition("/")[2]
    found = await NAMED[call.view.resource](work, [record["ref"] for record in records])
    for record, item in zip(records, items, strict=True):
        rows = found[record["ref"]]
        for name in dict.fromkeys(row["name"] for row in rows):
            named = [row for row in rows if row["name"] == name]
            url = _link_of(view, path)({**named[0], "ref": None}, call.base)
            member = collection + name
            embeds = expand is True or (expand and member in expand)
            item[member] = _embedded(view, call.base, url, named) if embeds else {"href": url}
