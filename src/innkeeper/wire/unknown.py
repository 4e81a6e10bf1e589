"""Unknown members and query parameters of requests.

Our own operations refuse them by name. The vendor's operations ignore them (C-10, G-11) and list
them in the header `Innkeeper-Ignored`. Members that the server owns (C-9) or that are reserved
(X-8) count as known.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import islice
from typing import Any, Final
from urllib.parse import quote

from innkeeper.errors import Problem
from innkeeper.resources.kinds import ListOf, ObjectOf
from innkeeper.rules.members import LONGEST_NAME, suggestion, unknown_members, unknown_paths
from innkeeper.wire.decode import wire_name
from innkeeper.wire.endpoint import EndpointRequest
from innkeeper.wire.pagination import IDENTIFIER
from innkeeper.wire.registry import OURS
from innkeeper.wire.routes import Operation, Route
from innkeeper.wire.stream.routes import StreamRoute
from innkeeper.wire.views import PairsView, Verb, View

IGNORED: Final = b"innkeeper-ignored"
MOST_NAMES: Final = 10
MOST_BYTES: Final = 1024
_OWN: Final = frozenset(OURS.endpoints)
_SERVER_OWNED: Final = frozenset({"createdAt", "modifiedAt", "ref", "href"})
"""Members that the server owns (C-9)."""


def check_names(route: Route, request: EndpointRequest) -> bytes:
    """Return the header's value for ignored names; empty if there are none.

    Unknown names of our own operations are added to `EndpointRequest.problems`, which
    `decode_request` raises together with invalid values.
    """
    if isinstance(route, Operation):
        names = _ignored(route, request) if request.query or request.body else None
        return _header(names) if names else b""
    schema = route.body or {}
    if route in _OWN:
        problems = [
            Problem(name[:LONGEST_NAME], f"is not a known parameter{suggestion(name, route.query)}")
            for name in islice((name for name in request.query if name not in route.query), 10)
        ]
        problems += unknown_members(request.body, schema) if request.body else []
        request.problems = tuple(problems)
        return b""
    names = [name for name in request.query if name not in route.query]
    members: Iterable[str] = unknown_paths(request.body, schema) if request.body and schema else ()
    members = (name for name in members if name not in _SERVER_OWNED)
    return _header([*islice(members, MOST_NAMES), *names])


def _ignored(route: Operation, request: EndpointRequest) -> list[str]:
    view, body, ignored = route.view(request.compatibility), request.body, list[str]()
    if body and not view.open_ended and not isinstance(view, PairsView):
        declared, parts = _declared_names(view)
        if not declared.issuperset(body):
            ignored += islice((name for name in body if name not in declared), MOST_NAMES)
        for name, members, many in parts:
            if (value := body.get(name)) is not None:
                _add_ignored(ignored, name, value, members, many)
    if request.query:
        parameters = _parameters(view, route.verb)
        ignored += [name for name in request.query if name not in parameters]
    return ignored


def _add_ignored(
    ignored: list[str], at: str, value: Any, declared: frozenset[str], many: bool
) -> None:
    """Add the unknown members of objects in a body."""
    for index, one in enumerate(value if many and isinstance(value, list) else (value,)):
        if isinstance(one, dict) and not declared.issuperset(one) and len(ignored) < MOST_NAMES:
            where = f"{at}[{index}]" if many else at
            names = (f"{where}.{name}" for name in one if name not in declared)
            ignored += islice(names, MOST_NAMES)


def _header(names: Iterable[str]) -> bytes:
    """Format at most 10 names, percent-encoded, in 1 KB."""
    parts: list[str] = []
    left = MOST_BYTES
    for name in islice(names, MOST_NAMES):
        part = quote(name[:80], safe="[]", errors="replace")
        left -= len(part) + 2
        if left < 0:
            break
        parts.append(part)
    return ", ".join(parts).encode("ascii")


@cache
def _declared_names(view: View) -> tuple[frozenset[str], list[tuple[str, frozenset[str], bool]]]:
    """Return the known members of a body, including those that the server owns or links; and of
    these the members that contain objects, with the known members of the objects and whether they
    are lists."""
    fields = {
        wire_name(view, name): view.accept.get(name, field.kind)
        for name, field in view.resource.fields.items()
        if name not in view.hide
    }
    parts = []
    for spelt, kind in fields.items():
        part = kind.element if isinstance(kind, ListOf) else kind
        if isinstance(part, ObjectOf) and not part.open_ended:
            parts.append((spelt, frozenset(part.members), isinstance(kind, ListOf)))
    links = (*view.parents, *view.children, *view.linked, *view.arrays)
    return frozenset({*_SERVER_OWNED, *fields, *links, *view.add}), parts


@cache
def _parameters(view: View, verb: Verb) -> frozenset[str]:
    """Return the query parameters of a verb."""
    match verb:
        case Verb.LIST:
            filters = {name for name in view.filters if name != "identifiers"}
            both = IDENTIFIER if "identifiers" in view.filters else ()
            sort = {"sort"} if view.sorts else set()
            return frozenset({"expand", "offset", "limit", *filters, *both, *sort})
        case Verb.FETCH:
            return frozenset({"expand"})
        case Verb.CREATE:
            return frozenset(view.create_query)
        case Verb.CLEAR:
            return frozenset({"name"})
    return frozenset()


_OF_STREAMS: Final = frozenset({"client_key", "api_token", "message", "callback"})
"""Parameters that the vendor's SDKs and tags send to every path of the stream API."""


def ignored_by_stream(route: StreamRoute, query: Mapping[str, str]) -> bytes:
    """Return the header's value for unknown query parameters of a stream endpoint.

    Members of bodies are never unknown: an event stores them as its own data (stream-api.md 4.1).
    """
    names = [name for name in query if name not in route.query and name not in _OF_STREAMS]
    return _header(names) if names else b""
