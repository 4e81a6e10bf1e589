"""Operations that are not a verb of a resource: each is declared once, above its function.

`EndpointFamily.endpoint` declares method, path, scopes, and the payloads of parameters, request and
response. Decoding and encoding (`wire/payloads.py`), the refusal of unknown names
(`wire/unknown.py`) and the API description use the declaration.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar
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

if TYPE_CHECKING:
    # The process that reads a file needs no database.
    from innkeeper.store.work import Work

TEXT_PARAMETERS: Final = {
    "name": ("Data extension", "name"),
    "segment": ("Segment", "segmentRef"),
    "other": ("Segment", "otherSegmentRef"),
    "static_list": ("Static list", "staticListRef"),
    "revision": ("Segment revision", "revision"),
    "trait": ("Trait", "traitName"),
    "export": ("Audience export", "audienceExportRef"),
    "report": ("Report", "reportName"),
    "source": ("Import source", "importSourceRef"),
    "client_key": ("API key", "clientKey"),
    "email": ("User", "userEmail"),
}
"""Path parameter that is text, not a ref -> (name in errors, name in the API description)."""


@dataclass(slots=True)
class EndpointRequest:
    """One authenticated request, decoded as far as that is the same for every operation."""

    path: Mapping[str, str]
    """The parameters of the path, as text."""
    query: Mapping[str, str]
    body: dict[str, Any] | None
    """The JSON object in the body; None if the operation takes no body."""
    base: str
    """Prefix of absolute URLs."""
    compatibility: str
    scopes: frozenset[Scope]
    """The scopes of the caller's key."""
    expected: Expected | None
    """The versions in `If-Match`, which the write may replace; None without the header."""
    problems: tuple[Problem, ...] = field(default=(), kw_only=True)
    """Unknown names in the query and the body of one of our operations, to be raised together with
    all other problems."""
    endpoint_url: str = field(default="", kw_only=True)
    """The URL of the operation, absolute and without a query."""
    parameters: Any = field(default=None, kw_only=True)
    """The query as the declared payload."""
    payload: Any = field(default=None, kw_only=True)
    """The body as the declared payload."""

    @property
    def personal(self) -> bool:
        """Whether the caller may see, and filter by, personal data."""
        return Scope.PERSONAL_DATA in self.scopes

    def read_members(self, payload: type[Payload]) -> tuple[dict[str, Any], list[Problem]]:
        """Return the valid values of the body, by attribute, and every problem so far."""
        problems = [*self.problems]
        return read_members(payload, self.body or {}, problems), problems

    def refs(self) -> dict[str, Any]:
        """Return the parameters of the path for actions; raises `Unknown` for a ref that is not a
        UUID."""
        return {name: _parameter(name, text) for name, text in self.path.items()}

    def ref_or_text(self, parameter: str) -> UUID | str:
        """Return a parameter of the path that is a ref or another name of the same resource."""
        text = self.path[parameter]
        return ref_in(text) or text


@dataclass(slots=True)
class EndpointResponse:
    """A response that is more than the record which the declaration encodes."""

    body: Any = None
    status: int = 200
    location: str | None = None
    content: bytes | None = None
    """A body in place of JSON, with its media type."""
    open_file: Callable[[], Awaitable[IO[bytes]]] | None = None
    """Opens a body in place of JSON, which is read while it is sent, in a slot of downloads."""
    content_type: str = ""
    etag: str | None = None
    """The version of the resource in the response, for the header `ETag`."""


Perform = Callable[["Work", EndpointRequest], Awaitable[Any]]
PerformType = TypeVar("PerformType", bound=Perform)


@dataclass(frozen=True, kw_only=True, eq=False)
class Endpoint:
    """One operation of a dialect in addition to its views."""

    method: str
    path: str
    """Parameters as `{guest}` are refs, those in `TEXT_PARAMETERS` are text."""
    name: str
    """Its operationId."""
    summary: str
    tag: str
    perform: Perform
    """Returns the record to encode as `response`, or an `EndpointResponse`."""
    before: Callable[[EndpointRequest], Awaitable[None]] | None = None
    """Slow work that needs no connection, done before one is taken."""
    parameters: type[Payload] | None = None
    """The payload of the query parameters; None if it takes none."""
    request: type[Payload] | Described | None = None
    """The payload of the body; None if it takes none, whatever a client sends."""
    raises_later: bool = False
    """Whether its function reads the body itself (`EndpointRequest.read_members`), to raise what
    the declaration finds together with what it cannot know: which traits, event types, rules and
    names are stored, as they are under the lock of the write, and the limits of the settings.
    Raised here first, the others would only be seen by a second request."""
    response: Any = None
    """Type or kind of the response: a payload, or a list of payloads; None for 204."""
    other_media: tuple[str, ...] = ()
    """Other media types of its response, as text."""
    path_names: Mapping[str, str] = field(default_factory=dict)
    """Path parameter -> its name in the API description, if that differs."""
    status: int = 200
    """By default 200, or 204 without a response."""
    scopes: frozenset[Scope] = frozenset()
    """Scopes that an API key needs; by default those of the method."""
    bearer: bool = False
    """Whether it accepts only a bearer token of OAuth (AU-6)."""
    own_transactions: bool = False
    """Whether it commits in several transactions; such an operation is safe to repeat without a
    key."""
    is_large: bool = False
    """Whether its response may have thousands of rows: a thread encodes it."""
    has_etag: bool = False
    """Whether its response has an `ETag`."""
    takes_version: bool = False
    """Whether it evaluates If-Match."""
    failures: frozenset[int] = frozenset()
    """Statuses of errors, in addition to the common ones and those that follow from method and
    body."""

    @cached_property
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
        """Whether it may change an existing resource."""
        return self.method in ("PUT", "PATCH", "DELETE")

    @cached_property
    def takes_key(self) -> bool:
        """Whether a repetition with the same Idempotency-Key returns the first response again."""
        return self.method == "POST" and not self.own_transactions


class EndpointFamily:
    """Endpoints with one tag and a common prefix of their paths, in order of declaration."""

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
        """Declare the decorated function as an operation, with the members of `Endpoint`.

        Its operationId is the name of the function, unless `name` is given.
        """

        members = {"tag": self._tag} | self._more | more
        if "response" not in members and "other_media" not in members:
            members.setdefault("status", 204)

        def declare(perform: PerformType) -> PerformType:
            declared = Endpoint(
                method=method,
                path=self._path + path,
                name=name or camel(perform.__name__),
                summary=summary,
                perform=perform,
                **members,
            )
            self._endpoints.append(declared)
            return perform

        return declare

    def create(self, path: str, summary: str, **more: Any) -> Callable[[PerformType], PerformType]:
        """Declare the operation that creates a record with a version."""
        created: dict[str, Any] = {"status": 201, "raises_later": True, "has_etag": True}
        return self.endpoint("POST", path, summary, **created, **more)

    def change(self, path: str, summary: str, **more: Any) -> Callable[[PerformType], PerformType]:
        """Declare the operation that changes members of a record, and evaluates If-Match."""
        changed: dict[str, Any] = {"raises_later": True, "has_etag": True, "takes_version": True}
        return self.endpoint("PATCH", path, summary, **changed, **more)


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
