"""`/v2/guestContexts`: a guest with all its records in one response, for clients of v2 (VK-1,
VK-2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.events import guest_contexts
from innkeeper.actions.events.guest_contexts import ORDERS
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.events import Event, Session
from innkeeper.resources.kinds import Kind, ListOf, Schema
from innkeeper.resources.naming import camel
from innkeeper.resources.payload_kinds import Described, MapOf
from innkeeper.resources.payloads import Absent, Payload, PayloadOf
from innkeeper.resources.values import PRIMITIVE_SCHEMA, iso, ref_in
from innkeeper.rules.scopes import READ_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.dialects import legacy
from innkeeper.wire.encode import Encode, encoder
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.openapi_schemas import response_fields
from innkeeper.wire.payloads import FilterText, Href, RequestKind, Uri, encode_value
from innkeeper.wire.schemas import REFERENCE, an_object, named, ref_to
from innkeeper.wire.views import View

_SPELT: Final = {"first_page_uri": "firstPageURI", "last_page_uri": "lastPageURI"}
PATH: Final = "/v2/guestContexts"
GUEST_CONTEXTS: Final = EndpointFamily("GuestContext (v2)", PATH)

# `items.orders(offset:0,limit:100)`, the prefix and the window optional (VL-5).
_WINDOW: Final = re.compile(r"(?:items\.)?(\w+)(?:\(offset:(\d{1,9}),limit:(\d{1,9})\))?", re.A)


def window(expand: str) -> tuple[int, int]:
    """Return (offset, limit) of the orders from an `expand` in the older grammar."""
    for name, offset, limit in _WINDOW.findall(expand):
        if name == "orders" and limit:
            return int(offset), int(limit)
    return 0, ORDERS


@dataclass(frozen=True, eq=False)
class _Viewed(RequestKind):
    """A record as a view encodes it; `members` maps members that contain other records to the kind
    of their values."""

    view: View
    title: str
    members: Mapping[str, Kind]

    @cached_property
    def _encode(self) -> Encode:
        return encoder(self.view)

    def schema(self) -> Schema:
        links = {name: ref_to("Link") for name in self.view.children}
        return named(self.title, response_fields(self.view, links | _schemas(self.members)))

    def show(self, value: Any, request: EndpointRequest) -> Any:
        return self._encode(value, request.base) | _encoded(self.members, value, request)


@dataclass(frozen=True)
class _Item(RequestKind):
    """An item of an order; its own operations declare the schema."""

    def schema(self) -> Schema:
        return ref_to("V2OrderItem")

    def show(self, value: Any, request: EndpointRequest) -> Any:
        return _encode_item(value, request.base)


_encode_item: Final = encoder(legacy.ORDER_ITEM)


@dataclass(frozen=True, eq=False)
class _Behaviour(RequestKind):
    """A session or an event, which have no URL of their own (identity.md 8)."""

    resource: type[Resource]
    required: tuple[str, ...]
    members: Mapping[str, Kind] = field(default_factory=dict)

    def schema(self) -> Schema:
        fields = {
            _spelt(name): each.kind.stored_schema() | {"description": each.doc}
            for name, each in self.resource.fields.items()
        }
        schema = an_object(self.required, **fields, **_schemas(self.members))
        return named(f"GuestContext{self.resource.__name__}", schema)

    def show(self, value: Any, request: EndpointRequest) -> Any:
        own = {name: each for name, each in value.items() if name not in self.members}
        return {
            _spelt(name): iso(each) if isinstance(each, datetime) else each
            for name, each in own.items()
        } | _encoded(self.members, value, request)


def _spelt(name: str) -> str:
    return _SPELT.get(name) or camel(name)


def _schemas(members: Mapping[str, Kind]) -> dict[str, Schema]:
    return {name: kind.schema() for name, kind in members.items()}


def _encoded(
    members: Mapping[str, Kind], record: Record, request: EndpointRequest
) -> dict[str, Any]:
    return {name: encode_value(kind, record[name], request) for name, kind in members.items()}


class GuestContextExtension(Payload):
    """A data extension of the guest."""

    href: Annotated[str, Href("/v2/guests/{guest_ref}/ext{name}/{ref}")]
    ref: UUID
    created_at: datetime
    modified_at: datetime
    key: str
    name: str
    values: Annotated[dict[str, Any], MapOf(Described(PRIMITIVE_SCHEMA))]


_ORDER: Final = _Viewed(legacy.ORDER, "GuestContextOrder", {"orderItems": ListOf(_Item())})
_SESSION: Final = _Behaviour(
    Session, ("ref", "events"), {"events": ListOf(_Behaviour(Event, ("ref", "type")))}
)
_CONTEXT: Final = _Viewed(
    legacy.GUEST,
    "GuestContext",
    {
        "orders": ListOf(_ORDER),
        "dataExtensions": ListOf(PayloadOf(GuestContextExtension)),
        "sessions": ListOf(_SESSION),
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
    response=_CONTEXT,
    scopes=READ_PERSONAL,
)
async def fetch_guest_context(work: Work, request: EndpointRequest) -> Record:
    """Return the guest with `orders`, `dataExtensions` and `sessions`."""
    offset, limit = window(request.parameters.expand)
    context = await guest_contexts.fetch(work, request.refs()["guest"], offset, limit)
    items, events = context.items, context.behaviour.events
    return {
        **context.guest,
        "orders": [{**order, "orderItems": items[order["ref"]]} for order in context.orders],
        "dataExtensions": [{**each, "values": each["pairs"]} for each in context.extensions],
        "sessions": [
            {**session, "events": events[session["ref"]]} for session in context.behaviour.sessions
        ],
    }


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
