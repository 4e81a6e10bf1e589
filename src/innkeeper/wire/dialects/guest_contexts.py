"""`/v2/guestContexts`: a guest with all its records in one response, for clients of v2 (VK-1,
VK-2)."""

import re
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.events import guest_contexts
from innkeeper.actions.events.guest_contexts import ORDERS
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.events import Event, Session
from innkeeper.resources.kinds import Schema
from innkeeper.resources.naming import camel
from innkeeper.resources.orders import OrderItem
from innkeeper.resources.payload_kinds import Described
from innkeeper.resources.payloads import Absent, Payload
from innkeeper.resources.values import PRIMITIVE_SCHEMA, iso, ref_in
from innkeeper.rules.scopes import READ_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.dialects import legacy
from innkeeper.wire.encode import encoder
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest, EndpointResponse
from innkeeper.wire.openapi_schemas import response_fields
from innkeeper.wire.payloads import FilterText, Uri
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
GUEST_CONTEXTS: Final = EndpointFamily("GuestContext (v2)", PATH)

_guest: Final = encoder(legacy.GUEST)
_order: Final = encoder(legacy.ORDER)
_item: Final = encoder(legacy.ORDER_ITEM)
_extension: Final = encoder(legacy.GUEST_EXTENSION)
# `items.orders(offset:0,limit:100)`, the prefix and the window optional (VL-5).
_WINDOW: Final = re.compile(r"(?:items\.)?(\w+)(?:\(offset:(\d{1,9}),limit:(\d{1,9})\))?", re.A)


def window(expand: str) -> tuple[int, int]:
    """Return (offset, limit) of the orders from an `expand` in the older grammar."""
    for name, offset, limit in _WINDOW.findall(expand):
        if name == "orders" and limit:
            return int(offset), int(limit)
    return 0, ORDERS


def _behaviour(record: Record) -> dict[str, Any]:
    """The view of a session or event, which have no URL of their own (identity.md 8)."""
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


class FetchGuestContextParameters(Payload):
    """The page of a guest's orders to embed."""

    expand: Annotated[
        str, "`items.orders(offset:0,limit:100)`: the page of orders to embed, latest first."
    ] = ""


@GUEST_CONTEXTS.endpoint(
    "GET",
    "/{guest}",
    "Fetch a guest with its orders, data extensions and sessions",
    parameters=FetchGuestContextParameters,
    response_schema=named("GuestContext", _CONTEXT),
    scopes=READ_PERSONAL,
)
async def fetch_guest_context(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Return the guest with `orders`, `dataExtensions` and `sessions`."""
    offset, limit = window(request.parameters.expand)
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


class FindGuestContextParameters(Payload):
    """The id of a guest's browser."""

    browser_ref: Annotated[str, FilterText(), "The browser's id."]


class _BrowserGuest(Payload):
    href: Uri | Absent
    ref: UUID | Absent
    items: list[Annotated[Record, Described(REFERENCE)]]


@GUEST_CONTEXTS.endpoint(
    "GET",
    "",
    "Find the guest of a browser",
    parameters=FindGuestContextParameters,
    response=_BrowserGuest,
    scopes=READ_PERSONAL,
)
async def find_guest_context(work: Work, request: EndpointRequest) -> Record:
    """Return the guest of a browser, as `ref` and as the only one of `items`; or no items."""
    ref = ref_in(request.parameters.browser_ref)
    guest = await guest_contexts.of_browser(work, ref) if ref else None
    if guest is None:
        return {"items": []}
    link = {"href": f"{request.base}{PATH}/{guest}", "ref": guest}
    return {**link, "items": [link]}
