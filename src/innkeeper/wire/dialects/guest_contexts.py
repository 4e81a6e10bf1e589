"""`/v2/guestContexts`: a whole guest in one answer, as clients of v2 read it (VK-1, VK-2)."""

import re
from datetime import datetime
from typing import Any, Final

from innkeeper.actions.events import guest_contexts
from innkeeper.actions.events.guest_contexts import ORDERS
from innkeeper.errors import Invalid, missing
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.events import Event, Session
from innkeeper.resources.kinds import Schema
from innkeeper.resources.orders import OrderItem
from innkeeper.resources.values import PRIMITIVE_SCHEMA, iso, ref_in
from innkeeper.store.work import Work
from innkeeper.wire.dialects import legacy
from innkeeper.wire.encode import encoder
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse
from innkeeper.wire.naming import camel
from innkeeper.wire.openapi_schemas import response_fields
from innkeeper.wire.schemas import (
    INSTANT,
    REF,
    REFERENCE,
    TEXT,
    URL,
    an_object,
    array_of,
    named,
    ref_to,
)

_SPELT: Final = {"first_page_uri": "firstPageURI", "last_page_uri": "lastPageURI"}
PATH: Final = "/v2/guestContexts"
TAG: Final = "GuestContext (v2)"

_guest: Final = encoder(legacy.GUEST)
_order: Final = encoder(legacy.ORDER)
_item: Final = encoder(legacy.ORDER_ITEM)
_extension: Final = encoder(legacy.GUEST_EXTENSION)
# `items.orders(offset:0,limit:100)`, the prefix and the window optional (VL-5).
_WINDOW: Final = re.compile(r"(?:items\.)?(\w+)(?:\(offset:(\d{1,9}),limit:(\d{1,9})\))?", re.A)


def window(expand: str) -> tuple[int, int]:
    """(offset, limit) of the orders that an `expand` of the older grammar asks for."""
    for name, offset, limit in _WINDOW.findall(expand):
        if name == "orders" and limit:
            return int(offset), int(limit)
    return 0, ORDERS


async def fetch_context(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with the guest, `orders`, `dataExtensions` and `sessions`."""
    offset, limit = window(request.query.get("expand", ""))
    context = await guest_contexts.fetch(work, request.refs()["guest"], offset, limit)
    base = request.base
    body = _guest(context.guest, base)
    body["orders"] = [
        {
            **_order(order, base),
            "orderItems": [_item(item, base) for item in context.items[order["ref"]]],
        }
        for order in context.orders
    ]
    body["dataExtensions"] = [_represent(extension, base) for extension in context.extensions]
    body["sessions"] = [
        {
            **_behaviour(session),
            "events": [_behaviour(event) for event in context.behaviour.events[session["ref"]]],
        }
        for session in context.behaviour.sessions
    ]
    return EndpointResponse(body)


def _behaviour(record: Record) -> dict[str, Any]:
    """A session or an event: they have no address of their own (identity.md 8)."""
    return {
        _SPELT.get(name) or camel(name): iso(value) if isinstance(value, datetime) else value
        for name, value in record.items()
    }


def _represent(extension: Record, base: str) -> dict[str, Any]:
    return {
        "href": _extension(extension, base)["href"],
        "ref": extension["ref"],
        "createdAt": iso(extension["created_at"]),
        "modifiedAt": iso(extension["modified_at"]),
        "key": extension["key"],
        "name": extension["name"],
        "values": extension["pairs"],
    }


async def find_context(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with the guest behind a browser, as `ref` and as the one of `items`; or no items."""
    browser = request.query.get("browserRef")
    if browser is None:
        raise Invalid(missing("browserRef"))
    ref = ref_in(browser)
    guest = await guest_contexts.of_browser(work, ref) if ref else None
    if guest is None:
        return EndpointResponse({"items": []})
    link = {"href": f"{request.base}{PATH}/{guest}", "ref": guest}
    return EndpointResponse({**link, "items": [link]})


def _fields_of(resource: type[Resource]) -> dict[str, Schema]:
    return {
        _SPELT.get(name) or camel(name): field.kind.stored_schema() | {"description": field.doc}
        for name, field in resource.fields.items()
    }


_LINKS: Final = dict.fromkeys(("contacts", "consumers", "orderItems"), ref_to("Link"))
_ORDER: Final = response_fields(
    legacy.ORDER, _LINKS | {"orderItems": array_of(ref_to(f"V2{OrderItem.__name__}"))}
)
_EXTENSION: Final = an_object(
    ("href", "ref", "key", "name", "values"),
    href=URL,
    ref=REF,
    createdAt=INSTANT,
    modifiedAt=INSTANT,
    key=TEXT,
    name=TEXT,
    values={"type": "object", "additionalProperties": PRIMITIVE_SCHEMA},
)
_SESSION: Final = an_object(
    ("ref", "events"),
    **_fields_of(Session),
    events=array_of(named("GuestContextEvent", an_object(("ref", "type"), **_fields_of(Event)))),
)
_CONTEXT: Final = response_fields(
    legacy.GUEST,
    {
        "orders": array_of(named("GuestContextOrder", _ORDER)),
        "dataExtensions": array_of(named("GuestContextExtension", _EXTENSION)),
        "sessions": array_of(named("GuestContextSession", _SESSION)),
    },
)

GUEST_CONTEXTS: Final = (
    Endpoint(
        method="GET",
        path=PATH + "/{guest}",
        name="fetchGuestContext",
        summary="Fetch a guest with its orders, data extensions and sessions",
        tag=TAG,
        perform=fetch_context,
        old_query={"expand": "`items.orders(offset:0,limit:100)`: which orders, the latest first."},
        response_schema=named("GuestContext", _CONTEXT),
    ),
    Endpoint(
        method="GET",
        path=PATH,
        name="findGuestContext",
        summary="Find the guest behind a browser",
        tag=TAG,
        perform=find_context,
        old_query={"browserRef": "The browser's id."},
        needs=frozenset({"browserRef"}),
        response_schema=an_object(("items",), href=URL, ref=REF, items=array_of(REFERENCE)),
        failures=frozenset({400}),
    ),
)
