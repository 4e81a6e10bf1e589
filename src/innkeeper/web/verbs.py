"""The verbs, for every resource of every dialect: decode, act, encode."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

from innkeeper.actions import extensions, guests
from innkeeper.actions.paging import EVERYTHING, MAX_LIMIT, Page, Wanted
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.guests import Guest, GuestExtension
from innkeeper.store.work import Work
from innkeeper.web.answers import Answer, json_answer
from innkeeper.wire import pages
from innkeeper.wire.decode import decode
from innkeeper.wire.encode import Encode, encoder
from innkeeper.wire.routes import Operation, Route
from innkeeper.wire.specials import Asked, Special
from innkeeper.wire.views import Shape, Verb, View

ACTIONS: Final[dict[type[Resource], Any]] = {Guest: guests, GuestExtension: extensions}
"""The module that acts on a resource: one function a verb, named like it."""

Act = Callable[[Work], Awaitable[Answer]]

EMBEDDED: Final[dict[tuple[type[Resource], str], tuple[type[Resource], Any]]] = {
    (Guest, "dataExtensions"): (GuestExtension, extensions.of_guests),
}
"""(resource, member) -> what `expand` embeds there, and who reads it for many parents."""


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


def prepared(route: Route, asked: Asked) -> Act:
    """What answers a request for `route`, once it is given a connection."""
    if isinstance(route, Special):
        return partial(_special, route, asked)
    parts = (asked.path, asked.query, asked.body, asked.base, asked.compatibility)
    call = Call(*parts, route, route.view(asked.compatibility))
    verb = VERBS[route.verb]
    return lambda work: verb(work, call)


async def _special(route: Special, asked: Asked, work: Work) -> Answer:
    told = await route.perform(work, asked)
    headers = [(b"location", told.location.encode())] if told.location else []
    return Answer(204) if told.status == 204 else json_answer(told.body, told.status, headers)


async def create(work: Work, call: Call) -> Answer:
    """201 with the new resource and its Location (CT-7)."""
    changes = decode(call.view, Verb.CREATE, call.body or {}, call.path.get("name"))
    record = await _action(call)(work, changes=changes, **call.refs(), **call.view.options)
    shown = _encoder(call.view)(record, call.base)
    return json_answer(shown, 201, [(b"location", shown["href"].encode())])


async def fetch(work: Work, call: Call) -> Answer:
    """200 with one resource, children embedded when `expand` asks for them."""
    record = await _action(call)(work, **call.refs())
    (shown,) = await _shown(work, call, [record], pages.expansion(call.query))
    return json_answer(shown)


async def list_(work: Work, call: Call) -> Answer:
    """200 with a page, or with all of a list that is an array (N-11, N-18)."""
    try:
        page_wanted = pages.wanted(call.view, call.query)
    except pages.NoHit as none:
        return _page(call, none.wanted, Page([], 0), [])
    paged = any(name in call.query for name in pages.PAGING)
    as_array = call.view.shape is Shape.ARRAY or (
        call.view.shape is Shape.ARRAY_UNLESS_PAGED and not paged
    )
    if as_array and not paged:
        page_wanted = EVERYTHING
    page = await _action(call)(work, wanted=page_wanted, **call.refs())
    items = await _shown(work, call, page.items, page_wanted.expand)
    return json_answer(items) if as_array else _page(call, page_wanted, page, items)


async def replace(work: Work, call: Call) -> Answer:
    """200 with the resource as it is now."""
    return await _write(work, call)


async def patch(work: Work, call: Call) -> Answer:
    """200 with the resource as it is now."""
    return await _write(work, call)


async def clear(work: Work, call: Call) -> Answer:
    """200 with a data extension after some or all of its pairs were removed (X-14)."""
    keys = frozenset(filter(None, re.split(r"[|,]", call.query.get("name", ""))))
    record = await _action(call)(work, keys=keys, **call.refs())
    return json_answer(_encoder(call.view)(record, call.base))


async def delete(work: Work, call: Call) -> Answer:
    """204, or 200 with null where the dialect says so (S-6)."""
    await _action(call)(work, **call.refs())
    return Answer(204) if call.view.deleted == 204 else json_answer(None)


VERBS: Final[dict[Verb, Callable[[Work, Call], Awaitable[Answer]]]] = {
    Verb.CREATE: create,
    Verb.LIST: list_,
    Verb.FETCH: fetch,
    Verb.REPLACE: replace,
    Verb.PATCH: patch,
    Verb.DELETE: delete,
    Verb.CLEAR: clear,
}


async def _write(work: Work, call: Call) -> Answer:
    changes = decode(call.view, call.operation.verb, call.body or {}, call.path.get("name"))
    record = await _action(call)(work, changes=changes, **call.refs(), **call.view.options)
    return json_answer(_encoder(call.view)(record, call.base))


def _action(call: Call) -> Any:
    return getattr(ACTIONS[call.view.resource], call.operation.verb)


_encoder: Callable[[View], Encode] = cache(encoder)


async def _shown(
    work: Work, call: Call, records: Iterable[Record], expand: bool | frozenset[str]
) -> list[dict[str, Any]]:
    """Records as the view shows them, with the children that `expand` names."""
    records = list(records)
    encode = _encoder(call.view)
    items = [encode(record, call.base) for record in records]
    for member in call.view.children:
        if expand is True or (expand and member in expand):
            resource, read = EMBEDDED[call.view.resource, member]
            view = _view_of(call, resource)
            found = await read(work, [record["ref"] for record in records])
            for record, item in zip(records, items, strict=True):
                item[member] = _embedded(
                    view, call.base, item[member]["href"], found[record["ref"]]
                )
    return items


def _embedded(view: View, base: str, url: str, children: list[Record]) -> dict[str, Any]:
    page = Wanted(limit=MAX_LIMIT)
    encode = _encoder(view)
    items = [encode(child, base) for child in children[:MAX_LIMIT]]
    return pages.envelope(view, url, {}, page, len(children), items)


def _view_of(call: Call, resource: type[Resource]) -> View:
    for entry in call.operation.dialect.views:
        open_view, official_view = entry if isinstance(entry, tuple) else (entry, entry)
        if open_view.resource is resource:
            return open_view if call.compatibility == "open" else official_view
    raise LookupError(resource)


def _page(call: Call, wanted: Wanted, page: Page, items: list[dict[str, Any]]) -> Answer:
    return json_answer(
        pages.envelope(
            call.view,
            call.url(),
            call.query,
            wanted,
            page.total,
            items,
            call.operation.dialect.page_before_filters,
        )
    )
