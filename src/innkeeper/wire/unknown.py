"""Members and query parameters that an operation does not know.

Our own operations refuse them by name. The vendor's tolerate them (C-10, G-11) and name them in
the header `Innkeeper-Ignored`. What the server owns (C-9) and what is reserved (X-8) is known.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, Final
from urllib.parse import quote

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.kinds import Kind, ListOf, Part
from innkeeper.rules.members import LONGEST_NAME, suggestion, unknown_members, unknown_paths
from innkeeper.wire.decode import wire_name
from innkeeper.wire.pages import IDENTIFIER
from innkeeper.wire.routes import Operation, Route
from innkeeper.wire.served import OURS
from innkeeper.wire.specials import Asked
from innkeeper.wire.views import PairsView, Verb, View

IGNORED: Final = b"innkeeper-ignored"
MOST_NAMES: Final = 10
MOST_BYTES: Final = 1024
_OWN: Final = frozenset(OURS.specials)
_SERVER_OWNED: Final = frozenset({"createdAt", "modifiedAt", "ref", "href"})
"""C-9."""


def check_names(route: Route, asked: Asked) -> bytes:
    """The value of the header for what is ignored; empty where all is known.

    Raises `Invalid` where the operation is one of ours.
    """
    if isinstance(route, Operation):
        return _header(_ignored(route, asked)) if asked.query or asked.body else b""
    schema = route.body or {}
    if route in _OWN:
        problems = [
            Problem(name[:LONGEST_NAME], f"is not a known parameter{suggestion(name, route.query)}")
            for name in islice((name for name in asked.query if name not in route.query), 10)
        ]
        problems += unknown_members(asked.body, schema) if asked.body and route.body else []
        if problems:
            raise Invalid(*problems)
        return b""
    names = [name for name in asked.query if name not in route.query]
    members: Iterable[str] = unknown_paths(asked.body, schema) if asked.body and schema else ()
    members = (name for name in members if name not in _SERVER_OWNED)
    return _header([*islice(members, MOST_NAMES), *names])


def _ignored(route: Operation, asked: Asked) -> Iterator[str]:
    view = route.view(asked.compatibility)
    if asked.body and not isinstance(view, PairsView) and not view.open_ended:
        if not _members(view).issuperset(asked.body):
            yield from (name for name in asked.body if name not in _members(view))
        for name, find in _parts(view):
            if name in asked.body:
                yield from find(asked.body[name])
    if asked.query:
        known = _parameters(view, route.verb)
        yield from (name for name in asked.query if name not in known)


def _header(names: Iterable[str]) -> bytes:
    """At most 10 names, percent-encoded, in 1 KB."""
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
def _members(view: View) -> frozenset[str]:
    """Members of a body that mean something, or that the server owns or links."""
    fields = (name for name in view.resource.fields if name not in view.hide)
    spelt = (wire_name(view, name) for name in fields)
    links = (*view.parents, *view.children, *view.linked, *view.arrays)
    return frozenset({*_SERVER_OWNED, *spelt, *links, *view.add})


@cache
def _parts(view: View) -> list[tuple[str, Callable[[Any], Iterator[str]]]]:
    """Members that hold objects of known members, and what finds the others in them."""
    found = []
    for name, field in view.resource.fields.items():
        kind = view.accept.get(name, field.kind)
        part = kind.element if isinstance(kind, ListOf) else kind
        if name not in view.hide and isinstance(part, Part) and not part.open_ended:
            spelt = wire_name(view, name)
            found.append((spelt, _finder(spelt, kind, part.members)))
    return found


def _finder(at: str, kind: Kind, members: Mapping[str, Kind]) -> Callable[[Any], Iterator[str]]:
    known = frozenset(members)
    many = isinstance(kind, ListOf)

    def find(value: Any) -> Iterator[str]:
        for index, one in enumerate(value if many and isinstance(value, list) else [value]):
            if isinstance(one, dict) and not known.issuperset(one):
                where = f"{at}[{index}]" if many else at
                yield from (f"{where}.{name}" for name in one if name not in known)

    return find


@cache
def _parameters(view: View, verb: Verb) -> frozenset[str]:
    """Query parameters that a verb knows."""
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
