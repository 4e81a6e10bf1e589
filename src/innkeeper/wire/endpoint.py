"""Operations that are no verb of a resource: each declared once, above its function.

`EndpointFamily.endpoint` declares method, path, scopes, and the payloads of parameters, request and
response. From the declaration come decoding and encoding (`wire/payloads.py`), the refusal of
unknown names (`wire/unknown.py`) and the API description.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar
from uuid import UUID

from innkeeper.errors import Problem, Unknown
from innkeeper.resources.kinds import Kind, Schema
from innkeeper.resources.naming import camel
from innkeeper.resources.payload_kinds import Described
from innkeeper.resources.payloads import (
    Member,
    Payload,
    PayloadOf,
    kind_of,
    members_of,
    read_members,
)
from innkeeper.resources.values import ValueRefused, ref_in, storable
from innkeeper.rules.scopes import Scope
from innkeeper.rules.versions import Expected
from innkeeper.store.work import Work

TEXT_PARAMETERS: Final = {
    "name": ("Data extension", "name"),
    "segment": ("Segment", "segmentRef"),
    "other": ("Segment", "otherSegmentRef"),
    "revision": ("Segment revision", "revision"),
    "trait": ("Trait", "traitName"),
    "export": ("Audience export", "audienceExportRef"),
    "report": ("Report", "reportName"),
    "client_key": ("API key", "clientKey"),
}
"""Path parameter that is text, not a ref -> (what an error calls the thing it names, its name in
the API description)."""


@dataclass(slots=True)
class EndpointRequest:
    """One authenticated request, read as far as it is the same for every operation."""

    path: Mapping[str, str]
    """The path's parameters, as text."""
    query: Mapping[str, str]
    body: dict[str, Any] | None
    """The JSON object that was sent; None where the operation takes none."""
    base: str
    """What absolute URLs start with."""
    compatibility: str
    scopes: frozenset[Scope]
    """What the caller's key may do."""
    expected: Expected | None
    """The versions that `If-Match` lets a write replace; None without the header."""
    problems: tuple[Problem, ...] = field(default=(), kw_only=True)
    """Unknown names in the query and the body of one of our operations, until they are raised with
    all other problems."""
    endpoint_url: str = field(default="", kw_only=True)
    """The URL of the operation, absolute and without a query."""
    parameters: Any = field(default=None, kw_only=True)
    """The query as the declared payload."""
    payload: Any = field(default=None, kw_only=True)
    """The body as the declared payload."""

    @property
    def personal(self) -> bool:
        """Whether the caller may see and ask for what names or locates a person."""
        return Scope.PERSONAL_DATA in self.scopes

    def read_members(self, payload: type[Payload]) -> tuple[dict[str, Any], list[Problem]]:
        """Return the values of the body that are right, by attribute, and every problem so far."""
        problems = [*self.problems]
        return read_members(payload, self.body or {}, problems), problems

    def refs(self) -> dict[str, Any]:
        """The path's parameters as actions take them; raises `Unknown` for what cannot exist."""
        return {name: _parameter(name, text) for name, text in self.path.items()}

    def ref_or_text(self, parameter: str) -> UUID | str:
        """Return a parameter of the path that is a ref or another name of the same thing."""
        text = self.path[parameter]
        return ref_in(text) or text


@dataclass(slots=True)
class EndpointResponse:
    """What an operation answers, where it is more than the record that the declaration encodes."""

    body: Any = None
    status: int = 200
    location: str | None = None
    content: bytes | None = None
    """What is answered in place of JSON, of this type."""
    content_type: str = ""
    etag: str | None = None
    """The version of what is answered, as a header shows it."""


Perform = Callable[[Work, EndpointRequest], Awaitable[Any]]
PerformType = TypeVar("PerformType", bound=Perform)


@dataclass(frozen=True, kw_only=True, eq=False)
class Endpoint:
    """One operation of a dialect beside its views."""

    method: str
    path: str
    """Parameters as `{guest}` are refs, `{name}` is text."""
    name: str
    """Its operationId."""
    summary: str
    tag: str
    perform: Perform
    """Returns the record to encode as `response`, or an `EndpointResponse`."""
    before: Callable[[EndpointRequest], Awaitable[None]] | None = None
    """What may take long and needs no connection: it is done before one is taken."""
    parameters: type[Payload] | None = None
    """The query parameters; None takes none."""
    request: type[Payload] | Described | None = None
    """The body; None takes none, whatever a client sends."""
    raises_later: bool = False
    """Whether its function reads the body itself (`EndpointRequest.read_members`), to raise what
    the declaration finds together with what it cannot know: which traits, event types, rules and
    names are stored, as they are under the lock of the write, and the limits of the settings.
    Raised here first, the others would only be seen by a second request."""
    response: Any = None
    """Type or kind of the response: a payload, or a list of some; None for 204."""
    response_schema: Schema | None = None
    """Schema of a response that is not encoded by `response`."""
    other_media: tuple[str, ...] = ()
    """Media types of text that it may answer in place of JSON."""
    path_names: Mapping[str, str] = field(default_factory=dict)
    """Path parameter -> its name in the API description, where that is not its own."""
    status: int = 200
    scopes: frozenset[Scope] = frozenset()
    """What an API key must allow; by default what the method says."""
    bearer: bool = False
    """Whether it takes a bearer token of OAuth, and nothing else (AU-6)."""
    own_transactions: bool = False
    """Whether it commits by itself, again and again; such a one repeats safely without a key."""
    has_etag: bool = False
    """Whether its answer carries the version of what it shows."""
    takes_version: bool = False
    """Whether it heeds If-Match."""
    failures: frozenset[int] = frozenset()
    """Statuses of errors, beside those of all and what follows from method and body."""

    @property
    def takes_body(self) -> bool:
        return self.request is not None

    @cached_property
    def body(self) -> Schema | None:
        """The schema of the body."""
        if self.request is None:
            return None
        kind = self.request if isinstance(self.request, Described) else PayloadOf(self.request)
        return kind.schema()

    @cached_property
    def query(self) -> Mapping[str, Member]:
        """The query parameters by name."""
        members = () if self.parameters is None else members_of(self.parameters)
        return {member.wire_name: member for member in members}

    @cached_property
    def response_kind(self) -> Kind | None:
        """The kind of the response."""
        return None if self.response is None else kind_of(self.response)

    @property
    def writes(self) -> bool:
        """Whether it may change what is there already."""
        return self.method in ("PUT", "PATCH", "DELETE")

    @property
    def takes_key(self) -> bool:
        """Whether an Idempotency-Key makes its repetition answer the first response again."""
        return self.method == "POST" and not self.own_transactions


class EndpointFamily:
    """Endpoints with one tag, whose paths start alike, in the order of their declaration."""

    def __init__(self, tag: str, path: str, **more: Any) -> None:
        self._tag = tag
        self._path = path
        self._more = more
        self._endpoints: list[Endpoint] = []

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._endpoints)

    def endpoint(
        self, method: str, path: str, summary: str, *, name: str = "", **more: Any
    ) -> Callable[[PerformType], PerformType]:
        """Declare the decorated function as an operation, by the members of `Endpoint`.

        Its operationId is the name of the function, unless `name` is another.
        """

        def declare(perform: PerformType) -> PerformType:
            declared = Endpoint(
                method=method,
                path=self._path + path,
                name=name or camel(perform.__name__),
                summary=summary,
                perform=perform,
                **({"tag": self._tag} | self._more | more),
            )
            self._endpoints.append(declared)
            return perform

        return declare


def _parameter(name: str, text: str) -> Any:
    if name not in TEXT_PARAMETERS:
        ref = ref_in(text)
        if ref is None:
            raise Unknown(name.replace("_", " ").capitalize(), text)
        return ref
    try:
        return storable(text)
    except ValueRefused:
        # PostgreSQL cannot hold it, so nothing has that name (CT-8).
        raise Unknown(TEXT_PARAMETERS[name][0], text) from None
