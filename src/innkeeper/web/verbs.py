"""The verbs of every resource in every dialect: decode the request, call the action, encode the
response."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace as replace_fields
from functools import cache, partial
from typing import Any, Final
from urllib.parse import quote

from innkeeper.actions.paging import EVERYTHING, Page, PageRequest
from innkeeper.actions.records import guests, orders
from innkeeper.actions.records.children import PARTS
from innkeeper.actions.records.extensions import OF_GUESTS, OF_ORDER_ITEMS, OF_ORDERS
from innkeeper.actions.records.keyed_extensions import KeyedExtensions
from innkeeper.actions.records.order_items import ITEMS
from innkeeper.actions.records.order_people import CONSUMERS, CONTACTS
from innkeeper.errors import Invalid, Problem
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
from innkeeper.resources.values import NOT_VALID, ref_in
from innkeeper.rules.versions import Expected
from innkeeper.store.work import Work
from innkeeper.web.downloads import open_in_slot
from innkeeper.web.representation import (
    ResourceRequest,
    items_text_of,
    kinds_of_children,
    represent,
    represent_created,
    represent_links,
)
from innkeeper.web.responses import ApiResponse, Headers, json_response
from innkeeper.wire import pagination
from innkeeper.wire.decode import decode
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse
from innkeeper.wire.etags import etag_of
from innkeeper.wire.json_text import encode
from innkeeper.wire.payloads import decode_request, encode_response
from innkeeper.wire.routes import Route
from innkeeper.wire.scopes import require_for_query, without_personal
from innkeeper.wire.views import WRITES, ListShape, PairsView, Show, Verb, View

ACTIONS: Final[dict[type[Resource], Any]] = {
    Guest: guests,
    GuestExtension: OF_GUESTS,
    Order: orders,
    OrderItem: ITEMS,
    OrderContact: CONTACTS,
    OrderConsumer: CONSUMERS,
    OrderExtension: OF_ORDERS,
    OrderItemExtension: OF_ORDER_ITEMS,
    **PARTS,
}
"""Resource -> the actions on it: one function for each verb, with the verb's name."""

KEYED: Final[dict[type[Resource], Any]] = {
    GuestExtension: KeyedExtensions(OF_GUESTS),
    OrderExtension: KeyedExtensions(OF_ORDERS),
}
"""The same for extensions that are addressed by ref and hold several keys for one name."""

Operation = Callable[[Work], Awaitable[ApiResponse]]


def prepare(route: Route, request: EndpointRequest) -> Operation:
    """Return the operation of a request for `route`, to be run with a connection.

    Raises the error of `If-Match` where the resource has no versions.
    """
    if isinstance(route, Endpoint):
        decode_request(route, request)
        return partial(_call_endpoint, route, request)
    view = route.view(request.compatibility)
    if request.expected is not None and not view.resource.versioned and route.verb in WRITES:
        request.expected.check(None)
    parts = (
        request.path,
        request.query,
        request.body,
        request.base,
        request.compatibility,
        request.scopes,
    )
    call = ResourceRequest(*parts, request.expected, route, view)
    verb = VERBS[route.verb]
    return lambda work: verb(work, call)


async def _call_endpoint(route: Endpoint, request: EndpointRequest, work: Work) -> ApiResponse:
    if request.expected is not None and route.writes and not route.takes_version:
        request.expected.check(None)
    result = await route.perform(work, request)
    if isinstance(result, EndpointResponse) and result.open_file is not None:
        open_stream = partial(open_in_slot, work.limits.downloads, result.open_file)
        return ApiResponse(200, content_type=result.content_type.encode(), open_stream=open_stream)
    if route.is_large:
        return await asyncio.to_thread(_encode_endpoint, route, request, result)
    return _encode_endpoint(route, request, result)


def _encode_endpoint(route: Endpoint, request: EndpointRequest, result: Any) -> ApiResponse:
    response = encode_response(route, request, result)
    headers = [(b"location", response.location.encode())] if response.location else []
    if response.etag is not None:
        headers.append((b"etag", response.etag.encode()))
    if response.content is not None:
        return ApiResponse(
            response.status, response.content, headers, response.content_type.encode()
        )
    return (
        ApiResponse(204)
        if response.status == 204
        else json_response(response.body, response.status, headers)
    )


async def create(work: Work, call: ResourceRequest) -> ApiResponse:
    """201 with the new resource and its Location (CT-7)."""
    changes = decode(call.view, Verb.CREATE, call.body or {}, call.path.get("name"))
    arguments = {**call.refs(), **_query_refs(call), **call.view.options}
    record = await _action(call)(work, changes=changes, **arguments)
    item = await represent_created(work, call, record)
    return json_response(item, 201, [(b"location", item["href"].encode()), *_etag(call, record)])


async def fetch(work: Work, call: ResourceRequest) -> ApiResponse:
    """200 with one resource, with the children that `expand` names."""
    requested = pagination.expansion(call.query)
    expand = requested or call.view.fetch_expands
    # An order is read with its children in one statement.
    kinds = kinds_of_children(call, expand) if call.view.resource is Order else []
    arguments = {"children": kinds} if kinds else {}
    record = await _action(call)(work, **call.refs(), **arguments)
    (item,) = await represent(work, call, [record], expand)
    if requested and call.operation.dialect.href_keeps_expand:
        item["href"] += "?expand=" + quote(call.query["expand"], safe=",")
    return json_response(item, headers=_etag(call, record))


async def list_(work: Work, call: ResourceRequest) -> ApiResponse:
    """200 with a page, or with the whole list where it is an array (N-11, N-18)."""
    view = call.view
    require_for_query(view, call.query, call.scopes)
    try:
        page_request = pagination.parse_page(view, call.query)
    except pagination.NoHit as none:
        return _page(call, none.page_request, Page([], 0), [])
    paged = any(name in call.query for name in pagination.PAGING)
    as_array = view.shape is ListShape.ARRAY or (
        view.shape is ListShape.ARRAY_UNLESS_PAGED and not paged
    )
    if as_array and not paged:
        page_request = EVERYTHING
    is_plain = not (page_request.expand or view.arrays or view.extensions)
    is_text = is_plain and not (view.links or view.linked)
    write_items = items_text_of(call.visible(view)) if is_text else None
    if is_plain and not isinstance(view, PairsView):
        as_json = write_items is not None
        page_request = replace_fields(page_request, as_text=True, as_json=as_json)
    page = await _action(call)(work, page_request=page_request, **call.refs())
    items: list[Any]
    if write_items is not None:
        items = write_items(page.items, encode(call.base)[1:-1])
    elif view.links and not page_request.expand:
        items = represent_links(view, page.items, call.base)
    else:
        # Where items are links, `true` expands the links, not the children (L-9).
        children = False if view.links and page_request.expand is True else page_request.expand
        items = await represent(work, call, page.items, children)
    return json_response(items) if as_array else _page(call, page_request, page, items)


async def replace(work: Work, call: ResourceRequest) -> ApiResponse:
    """200 with the resource as it is now."""
    return await _write(work, call)


async def patch(work: Work, call: ResourceRequest) -> ApiResponse:
    """200 with the resource as it is now."""
    return await _write(work, call)


async def clear(work: Work, call: ResourceRequest) -> ApiResponse:
    """200 with a data extension after deleting some or all of its pairs (X-14)."""
    keys = frozenset(filter(None, re.split(r"[|,]", call.query.get("name", ""))))
    record = await _action(call)(work, keys=keys, **call.refs())
    return json_response(call.encoder(call.view)(record, call.base))


async def delete(work: Work, call: ResourceRequest) -> ApiResponse:
    """204, or 200 with null where the dialect requires it (S-6)."""
    await _action(call)(work, **call.refs(), **_expected(call))
    return ApiResponse(204) if call.view.deleted == 204 else json_response(None)


VERBS: Final[dict[Verb, Callable[[Work, ResourceRequest], Awaitable[ApiResponse]]]] = {
    Verb.CREATE: create,
    Verb.LIST: list_,
    Verb.FETCH: fetch,
    Verb.REPLACE: replace,
    Verb.PATCH: patch,
    Verb.DELETE: delete,
    Verb.CLEAR: clear,
}


async def _write(work: Work, call: ResourceRequest) -> ApiResponse:
    verb = call.operation.verb
    changes = decode(call.view, verb, call.body or {}, call.path.get("name"))
    arguments = {**call.refs(), **call.view.options, **_expected(call)}
    visible = call.view if call.personal else without_personal(call.view)
    if verb is Verb.REPLACE and (stored := _stored_fields(visible)):
        arguments["preserved"] = stored
    record = await _action(call)(work, changes=changes, **arguments)
    (item,) = await represent(work, call, [record], False)
    return json_response(item, headers=_etag(call, record))


def _etag(call: ResourceRequest, record: Record) -> Headers:
    return [(b"etag", etag_of(record).encode())] if call.view.resource.versioned else []


def _expected(call: ResourceRequest) -> dict[str, Expected]:
    expected = call.expected
    return {} if expected is None or not call.view.resource.versioned else {"expected": expected}


def _action(call: ResourceRequest) -> Any:
    view = call.view
    actions = KEYED if isinstance(view, PairsView) and view.keyed else ACTIONS
    return getattr(actions[view.resource], call.operation.verb)


@cache
def _stored_fields(view: View) -> dict[str, Show]:
    """Return field -> the function that shows it, of the fields that keep their stored value when a
    replace sends the value that the caller sees (N-17); a hidden field shows None."""
    return {**dict.fromkeys(view.hide, lambda _: None), **view.keep}


def _query_refs(call: ResourceRequest) -> dict[str, Any]:
    """Read the refs in the query of a create (O-10); raises `Invalid`."""
    refs = {}
    for parameter, name in call.view.create_query.items():
        if parameter in call.query:
            refs[name] = ref_in(call.query[parameter])
            if refs[name] is None:
                raise Invalid(Problem(parameter, NOT_VALID))
    return refs


def _page(
    call: ResourceRequest, page_request: PageRequest, page: Page, items: list[Any]
) -> ApiResponse:
    return json_response(
        pagination.envelope(
            call.view,
            call.url(),
            call.query,
            page_request,
            page.total,
            items,
            call.operation.dialect.page_before_filters,
        )
    )
