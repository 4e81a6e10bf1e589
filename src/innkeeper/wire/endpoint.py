"""Operations that are no verb of a resource: declared by path, function and schemas.

The door routes, authenticates, reads and replays them like any other operation; their
functions stand in the modules of `wire` that know their shapes and call actions.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from innkeeper.errors import Problem, Unknown
from innkeeper.resources.kinds import Schema
from innkeeper.resources.values import ValueRefused, storable
from innkeeper.rules.scopes import Scope
from innkeeper.rules.versions import Expected
from innkeeper.store.work import Work

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I | re.ASCII)
TEXT_PARAMETERS: Final = {
    "name": "Data extension",
    "segment": "Segment",
    "trait": "Trait",
    "export": "Audience export",
    "report": "Report",
    "client_key": "API key",
}
"""Path parameters that are text, not refs -> what an error calls the thing they name."""


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
    """Unknown names in the query and the body of an operation of ours that takes a body: it raises
    them together with what is wrong with values."""

    @property
    def personal(self) -> bool:
        """Whether the caller may see and ask for what names or locates a person."""
        return Scope.PERSONAL_DATA in self.scopes

    def refs(self) -> dict[str, Any]:
        """The path's parameters as actions take them; raises `Unknown` for what cannot exist."""
        return {name: _parameter(name, text) for name, text in self.path.items()}


@dataclass(slots=True)
class EndpointResponse:
    """What an operation answers: JSON, or nothing with 204."""

    body: Any = None
    status: int = 200
    location: str | None = None
    content: bytes | None = None
    """What is answered in place of JSON, of this type."""
    content_type: str = ""
    etag: str | None = None
    """The version of what is answered, as a header shows it."""


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
    perform: Callable[[Work, EndpointRequest], Awaitable[EndpointResponse]]
    before: Callable[[EndpointRequest], Awaitable[None]] | None = None
    """What may take long and needs no connection: it is done before one is taken."""
    response_schema: Schema | None = None
    """Schema of the answer; None for 204."""
    other_media: tuple[str, ...] = ()
    """Media types of text that it may answer in place of JSON."""
    body: Schema | None = None
    """Schema of the body it needs; None takes none, whatever is sent."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Query parameter -> what it means."""
    needs: frozenset[str] = frozenset()
    """Query parameters that must be there."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Path parameter -> its name in the API description, where that is not its own."""
    status: int = 200
    bearer: bool = False
    """Whether it takes a bearer token of OAuth, and nothing else (AU-6)."""
    own_transactions: bool = False
    """Whether it commits by itself, again and again; such a one repeats safely without a key."""
    has_etag: bool = False
    """Whether its answer carries the version of what it shows."""
    takes_version: bool = False
    """Whether it heeds If-Match."""
    failures: frozenset[int] = frozenset()
    """Statuses it answers errors with, beside 401 and what follows from method and body."""

    @property
    def takes_body(self) -> bool:
        return self.body is not None

    @property
    def writes(self) -> bool:
        """Whether it may change what is there already."""
        return self.method in ("PUT", "PATCH", "DELETE")

    @property
    def takes_key(self) -> bool:
        """Whether an Idempotency-Key makes its repetition answer the first response again."""
        return self.method == "POST" and not self.own_transactions


def ref_in(text: str) -> UUID | None:
    """The ref that a text is, in whatever case; None when it is none."""
    return UUID(text) if _UUID.fullmatch(text) else None


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
        raise Unknown(TEXT_PARAMETERS[name], text) from None
