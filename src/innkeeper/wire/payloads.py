"""Decode the parameters and bodies of endpoints by their payloads, and encode responses."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from urllib.parse import quote

import msgspec

from innkeeper.actions.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, PageRequest
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import Instant, Kind, ListOf, Schema, Text, Whole
from innkeeper.resources.naming import camel
from innkeeper.resources.payload_kinds import Described, MapOf, Url
from innkeeper.resources.payloads import (
    ABSENT,
    MOST_PROBLEMS,
    Absent,
    Payload,
    PayloadOf,
    decode,
    members_of,
)
from innkeeper.resources.values import ValueRefused, iso
from innkeeper.rules.masking import masked_line
from innkeeper.rules.members import unknown_members
from innkeeper.rules.personal import without_personal
from innkeeper.wire import pagination
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse
from innkeeper.wire.etags import etag_of
from innkeeper.wire.schemas import REFERENCE, TEXT, URL, ref_to
from innkeeper.wire.scopes import masked_actor

Item = TypeVar("Item")
Uri = Annotated[str, Url()]


class RequestKind(Kind):
    """Base class of values whose encoding depends on what the caller may see."""

    def show(self, value: Any, request: EndpointRequest) -> Any:
        """Return the value to encode."""
        raise NotImplementedError


@dataclass(frozen=True)
class Href(RequestKind):
    """A URL whose path contains members of the record as parameters."""

    path: str

    def schema(self) -> Schema:
        return URL

    def show(self, value: Any, request: EndpointRequest) -> Any:
        if isinstance(value, str):
            return value
        path = re.sub(r"\{(\w+)\}", lambda match: quote(str(value[match[1]]), safe=""), self.path)
        return request.base + path


@dataclass(frozen=True)
class LinkTo(Href):
    """An object with such a URL as `href`."""

    def schema(self) -> Schema:
        return ref_to("Link")

    def show(self, value: Any, request: EndpointRequest) -> Any:
        return {"href": super().show(value, request)}


@dataclass(frozen=True)
class GuestReference(RequestKind):
    """A guest, stored as ref."""

    def schema(self) -> Schema:
        return REFERENCE

    def show(self, value: Any, request: EndpointRequest) -> Any:
        return {"ref": str(value), "href": f"{request.base}/v2.1/guests/{value}"}


@dataclass(frozen=True)
class Actor(RequestKind):
    """The actor of a change, as the caller may see it."""

    def schema(self) -> Schema:
        return TEXT

    def show(self, value: Any, request: EndpointRequest) -> Any:
        return masked_actor(value, request.scopes)


@dataclass(frozen=True)
class DefinitionOf(RequestKind):
    """A stored definition, without values of personal fields for a caller who may not see them."""

    payload: type[Payload]

    def schema(self) -> Schema:
        return PayloadOf(self.payload).stored_schema()

    def show(self, value: Any, request: EndpointRequest) -> Any:
        return value if request.personal else without_personal(value)


@dataclass(frozen=True)
class Masked(RequestKind):
    """Text that is masked for a caller who may not see personal data."""

    mask: Callable[[str], str]

    def schema(self) -> Schema:
        return TEXT

    def show(self, value: Any, request: EndpointRequest) -> Any:
        return value if request.personal else self.mask(value)


ErrorText = Annotated[str, Masked(masked_line)]
"""Why something failed, which may quote what was sent or stored."""


@dataclass(frozen=True)
class FilterText(Text):
    """Text that is compared with stored text; text that cannot be stored matches nothing (CT-8)."""

    def read(self, value: Any) -> str:
        try:
            return super().read(value)
        except ValueRefused:
            return "\ufffd"


@dataclass(frozen=True)
class FieldName(RequestKind):
    """The name of a declared field."""

    def schema(self) -> Schema:
        return TEXT

    def show(self, value: Any, request: EndpointRequest) -> Any:
        return camel(value)


GuestLink = Annotated[str, GuestReference()]


class Confirmation(Payload):
    """Members that the vendor's tenant operations return in addition to the record, for typed
    clients."""

    name: str
    result: str
    message: str
    status: int
    code: int


def confirm(name: str, status: int = 200) -> Record:
    """Return a confirmation."""
    return {"name": name, "result": "OK", "message": "Done.", "status": status, "code": status}


class Items(Payload, Generic[Item]):
    """A complete list."""

    items: list[Item]


class Paging(Payload):
    """The requested page of a list."""

    most: ClassVar[int] = MAX_LIMIT
    """A larger limit counts as this one (L-5)."""

    offset: Annotated[int, pagination.OFFSET, "Items to skip."] = 0
    limit: Annotated[int, pagination.LIMIT, "Items on the page, at most 100."] = DEFAULT_LIMIT

    def page(self, **filters: Any) -> PageRequest:
        """Return the page for an action."""
        return PageRequest(self.offset, min(self.limit, self.most), filters)


class LongPaging(Paging):
    """The requested page of a list, with a larger default."""

    limit: Annotated[int, pagination.LIMIT, "Items on the page, at most 100."] = MAX_LIMIT


class PageOf(Payload, Generic[Item], kw_only=True):
    """A page with its links (L-1, L-2)."""

    href: Uri
    offset: Annotated[int, Whole(0)]
    limit: Annotated[int, Whole(0)]
    total_count: Annotated[int, Whole(0)]
    first: Annotated[str, Described(ref_to("Link"))]
    last: Annotated[str, Described(ref_to("Link"))]
    next: Annotated[str, Described(ref_to("Link"))] | Absent
    prev: Annotated[str, Described(ref_to("Link"))] | Absent
    items: list[Item]


class WindowOf(Payload, Generic[Item]):
    """A page without links."""

    offset: int
    limit: int
    total_count: int
    items: list[Item]


def decode_request(route: Endpoint, request: EndpointRequest) -> None:
    """Decode query and body; raises `Invalid` with every problem of both, and unknown names.

    An endpoint that `raises_later` gets the problems instead, and reads the body itself.
    """
    problems = [*request.problems]
    request.endpoint_url = request.base + route.path
    if route.parameters is not None:
        texts = _typed_texts(route.parameters, request.query)
        request.parameters = _decode(route.parameters, texts, problems)
    if route.raises_later:
        request.problems = tuple(problems)
        return
    if route.request is not None and not isinstance(route.request, Described):
        request.payload = _decode(route.request, request.body or {}, problems)
    if problems:
        raise Invalid(*problems[:MOST_PROBLEMS])


def _decode(payload: type[Payload], body: Mapping[str, Any], problems: list[Problem]) -> Any:
    """Decode a payload, or return None and add problems."""
    decoded, wrong = decode(payload, body)
    problems += wrong
    return decoded


def decode_strictly(payload: type[Payload], body: Mapping[str, Any]) -> Any:
    """Decode a payload from a file, a form or the command line.

    Raises `Invalid` with every problem, and with unknown names.
    """
    problems = unknown_members(body, PayloadOf(payload).schema())
    decoded = _decode(payload, body, problems)
    if problems:
        raise Invalid(*problems[:MOST_PROBLEMS])
    return decoded


def _typed_texts(payload: type[Payload], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of a query as JSON values; text that is not a whole number stays
    text."""
    typed: dict[str, Any] = {}
    for member in members_of(payload):
        text = query.get(member.wire_name)
        # An instant without text is no instant, and the vendor's clients send some.
        may_be_blank = payload.blank_is_absent or isinstance(member.kind, Instant)
        if text is None or (not text and may_be_blank):
            continue
        typed[member.wire_name] = text
        if isinstance(member.kind, Whole):
            typed[member.wire_name] = pagination.number_in(text)
        elif isinstance(member.kind, Instant):
            typed[member.wire_name] = pagination.with_plus(text)
    return typed


def encode_response(route: Endpoint, request: EndpointRequest, result: Any) -> EndpointResponse:
    """Return the response of an endpoint whose function returned `result`."""
    response = result if isinstance(result, EndpointResponse) else EndpointResponse(result)
    if response.content is not None:
        return response
    response.status = route.status
    if route.response_kind is None:
        return response
    record = response.body
    if isinstance(record, Page):
        record = page_record(request, record)
    if route.has_etag and response.etag is None and record.get("modified_at") is not None:
        response.etag = etag_of(record)
    response.body = encode_value(route.response_kind, record, request)
    if route.status in (201, 202) and response.location is None:
        response.location = response.body.get("href")
    return response


def encode_value(kind: Kind, value: Any, request: EndpointRequest) -> Any:
    """Return a value as JSON."""
    if isinstance(kind, PayloadOf):
        return _encode_payload(kind.payload, value, request)
    if isinstance(kind, ListOf):
        return [encode_value(kind.element, each, request) for each in value]
    if isinstance(kind, MapOf):
        return {name: encode_value(kind.element, each, request) for name, each in value.items()}
    if isinstance(kind, RequestKind):
        return kind.show(value, request)
    return iso(value) if isinstance(value, datetime) else value


def _encode_payload(payload: type[Payload], record: Any, request: EndpointRequest) -> Record:
    """Encode the declared members of a record, or of another payload.

    A ref may be stored under its name with `_ref`. URLs are built from the record.
    """
    if isinstance(record, Payload):
        record = msgspec.structs.asdict(record)
    out: Record = {}
    for member in members_of(payload):
        value = record.get(member.name)
        if value is None:
            value = record.get(f"{member.name}_ref")
        if value is None and isinstance(member.kind, Href):
            value = record
        if value is None or value is ABSENT:
            if member.is_nullable:
                out[member.wire_name] = None
            elif member.is_required:
                raise LookupError(f"{payload.__name__} has no {member.name}")
        else:
            out[member.wire_name] = encode_value(member.kind, value, request)
    return out


def page_record(request: EndpointRequest, page: Page, *, page_first: bool = False) -> Record:
    """Return a page with links, which repeat the other parameters of the request."""
    parameters: Paging = request.parameters
    names = [member.wire_name for member in members_of(type(parameters))]
    rest = [
        (name, request.query[name])
        for name in names
        if name in request.query and name not in ("offset", "limit")
    ]
    window = parameters.page()
    body = pagination.page_body(
        request.endpoint_url, rest, window, page.total, page.items, page_first=page_first
    )
    return {**body, "total_count": page.total}
