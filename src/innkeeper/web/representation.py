"""Response bodies: records as a view shows them, with the children that it embeds."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.paging import MAX_LIMIT, PageRequest
from innkeeper.actions.records import child_records, extensions
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.guests import Guest
from innkeeper.resources.orders import Order
from innkeeper.store.work import Work
from innkeeper.wire import pagination
from innkeeper.wire.encode import Encode, encoder, link_of
from innkeeper.wire.endpoint import EndpointRequest
from innkeeper.wire.item_text import ItemsText, items_text_encoder
from innkeeper.wire.json_text import encode
from innkeeper.wire.routes import Operation, view_at
from innkeeper.wire.scopes import without_personal
from innkeeper.wire.views import Dialect, View

ReadMany = Callable[[Work, Iterable[UUID]], Awaitable[dict[UUID, list[Record]]]]
Expand = bool | frozenset[str]
"""Children to embed: all of them, or those named."""

READ_EXTENSIONS: Final[dict[type[Resource], ReadMany]] = {
    Guest: extensions.OF_GUESTS.every_of_many,
    Order: extensions.OF_ORDERS.every_of_many,
}
"""Resource -> function that reads its data extensions, of every name and key."""

encoder_of: Callable[[View], Encode] = cache(encoder)
items_text_of: Callable[[View], ItemsText | None] = cache(items_text_encoder)
_embedded_page_of = cache(pagination.embedded_page)
_link_of: Callable[[View, str], Callable[[Record, str], str]] = cache(link_of)


@dataclass(slots=True)
class ResourceRequest(EndpointRequest):
    """One authenticated request for a verb of a resource."""

    operation: Operation
    view: View

    def encoder(self, view: View) -> Encode:
        """Return the function that encodes records of a view for this caller."""
        return encoder_of(self.visible(view))

    def visible(self, view: View) -> View:
        """Return a view as this caller may see it."""
        return view if self.personal else without_personal(view)

    def url(self) -> str:
        """Return the absolute URL of this request's path, in its canonical spelling."""
        return self.base + self.operation.path.format_map(
            {name: str(value) for name, value in self.refs().items()}
        )

    def view_at(self, path: str) -> View:
        """Return the view of a collection of the same dialect, in the caller's compatibility."""
        return view_at(self.operation.dialect, path, self.compatibility)


async def represent(
    work: Work, call: ResourceRequest, records: Sequence[Record], expand: Expand
) -> list[dict[str, Any]]:
    """Encode records by the view, with the children that `expand` names."""
    view = call.view
    encode_record = call.encoder(view)
    items = [encode_record(record, call.base) for record in records]
    if not (expand or view.arrays or view.extensions):
        return items
    chosen = _choose_children(call, expand)
    all_children = await _read_children(work, chosen.kinds, records) if chosen.kinds else []
    for item, children in zip(items, all_children, strict=False):
        for member, child in chosen.embedded.items():
            url = item[member]["href"]
            item[member] = _embedded(child, url, *_children(call, child, children, MAX_LIMIT))
        for member, child in chosen.arrays.items():
            item[member], _ = _children(call, child, children)
    if view.extensions:
        await _add_extensions(work, call, records, items, expand)
    return items


def kinds_of_children(call: ResourceRequest, expand: Expand) -> list[type[Resource]]:
    """List the kinds of children in a response with `expand`, each once."""
    return _choose_children(call, expand).kinds


@dataclass(frozen=True, slots=True)
class _ChosenChildren:
    """The children in a response."""

    embedded: dict[str, View]
    """By member, the views of those that `expand` names."""
    arrays: dict[str, View]
    """By member, the views of those that are always shown as arrays."""
    kinds: list[type[Resource]]
    """Each once."""


def _choose_children(call: ResourceRequest, expand: Expand) -> _ChosenChildren:
    view = call.view
    named = expand if isinstance(expand, bool) else expand.intersection(view.children)
    return _children_of_view(call.operation.dialect, call.compatibility, view, named)


@lru_cache(256)
def _children_of_view(
    dialect: Dialect, compatibility: str, view: View, expand: Expand
) -> _ChosenChildren:
    embedded = {
        member: view_at(dialect, path, compatibility)
        for member, path in view.children.items()
        if expand is True or (expand and member in expand)
    }
    arrays = {member: view_at(dialect, path, compatibility) for member, path in view.arrays.items()}
    views = (*embedded.values(), *arrays.values())
    return _ChosenChildren(embedded, arrays, list(dict.fromkeys(view.resource for view in views)))


async def _read_children(
    work: Work, kinds: Collection[type[Resource]], records: Sequence[Record]
) -> list[child_records.ChildrenByKind]:
    """Return the children of each record: those in the record, else all read in one round trip."""
    if all("children" in record for record in records):
        return [record["children"] for record in records]
    by_ref = await child_records.read_children(work, [record["ref"] for record in records], kinds)
    return [by_ref[record["ref"]] for record in records]


async def represent_created(work: Work, call: ResourceRequest, record: Record) -> dict[str, Any]:
    """Encode the resource of a create, with its children as collections where the dialect has them
    (VO-2)."""
    fresh = bool(record.get("fresh"))
    expand = call.view.create_expands and not fresh
    (item,) = await represent(work, call, [record], expand)
    if call.view.create_expands and fresh:
        for member in call.view.children:
            item[member]["items"] = []
    return item


def represent_links(view: View, records: Iterable[Record], base: str) -> list[dict[str, Any]]:
    """Encode list items as links, not expanded (L-8)."""
    href = _link_of(view, view.item)
    items = ({"href": href(record, base), "ref": record["ref"]} for record in records)
    return [{name: item[name] for name in view.links} for item in items]


def _children(
    call: ResourceRequest,
    view: View,
    children: child_records.ChildrenByKind,
    most: int | None = None,
) -> tuple[list[Any], int]:
    """Encode the first children of a record that a view shows, as text where the view allows it;
    return them and the number of all."""
    text = children[view.resource]
    if text is None:
        return [], 0
    write = items_text_of(call.visible(view))
    if write is None:
        encode_child = call.encoder(view)
        rows = child_records.parse(view.resource, text)
        return [encode_child(child, call.base) for child in rows[:most]], len(rows)
    rows = child_records.parse_as_text(text)
    return write(rows[:most], encode(call.base)[1:-1]), len(rows)


def _embedded(view: View, url: str, items: list[Any], total: int) -> Any:
    """Return the first page of a collection of children."""
    if total <= MAX_LIMIT and not view.with_total:
        return _embedded_page_of(view)(url, items)
    return _envelope(view, url, items, total)


def _envelope(view: View, url: str, items: list[Any], total: int) -> dict[str, Any]:
    return pagination.envelope(view, url, {}, PageRequest(limit=MAX_LIMIT), total, items)


async def _add_extensions(
    work: Work,
    call: ResourceRequest,
    records: Sequence[Record],
    items: list[dict[str, Any]],
    expand: Expand,
) -> None:
    """Add a member `ext{name}` to each item for each name of its data extensions (VG-5)."""
    path = call.view.extensions
    view = call.view_at(path)
    encode_row = call.encoder(view)
    collection = path.rpartition("{")[0].rpartition("/")[2]
    by_ref = await READ_EXTENSIONS[call.view.resource](work, [record["ref"] for record in records])
    for record, item in zip(records, items, strict=True):
        rows = by_ref[record["ref"]]
        for name in dict.fromkeys(row["name"] for row in rows):
            of_name = [row for row in rows if row["name"] == name]
            url = _link_of(view, path)({**of_name[0], "ref": None}, call.base)
            member = collection + name
            embeds = expand is True or (expand and member in expand)
            embedded_rows = (
                [encode_row(row, call.base) for row in of_name[:MAX_LIMIT]] if embeds else []
            )
            item[member] = (
                _envelope(view, url, embedded_rows, len(of_name)) if embeds else {"href": url}
            )
