"""The route table: every operation of the dialects, and the search of a path in it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Final
from urllib.parse import unquote

from innkeeper.wire.endpoint import Endpoint
from innkeeper.wire.views import Dialect, Verb, View

OPEN: Final = "open"
OFFICIAL: Final = "official"
WITH_BODY: Final = frozenset({Verb.CREATE, Verb.REPLACE, Verb.PATCH})


@dataclass(frozen=True, eq=False)
class Operation:
    """A verb on a resource in a dialect; its view follows the key's compatibility."""

    dialect: Dialect
    verb: Verb
    method: str
    path: str
    views: Mapping[str, View]

    def view(self, compatibility: str) -> View:
        return self.views[compatibility]

    @cached_property
    def takes_body(self) -> bool:
        return self.verb in WITH_BODY

    @cached_property
    def takes_key(self) -> bool:
        """Whether a repetition with the same Idempotency-Key returns the first response again."""
        return self.method == "POST"


Route = Operation | Endpoint


def routes(dialects: Iterable[Dialect]) -> Iterator[Route]:
    """Every operation, by method and path."""
    for dialect in dialects:
        yield from operations((dialect,))
        yield from dialect.endpoints


def operations(dialects: Iterable[Dialect]) -> Iterator[Operation]:
    """Every operation of the dialects."""
    for dialect in dialects:
        for entry in dialect.views:
            open_view, official_view = entry if isinstance(entry, tuple) else (entry, entry)
            for verb in Verb:
                if verb in open_view.verbs:
                    method, path = open_view.method_and_path(verb)
                    views = {OPEN: open_view, OFFICIAL: official_view}
                    yield Operation(dialect, verb, method, path, views)


@cache
def view_at(dialect: Dialect, path: str, compatibility: str) -> View:
    """Return the view of a collection in a dialect, for keys with a compatibility."""
    for entry in dialect.views:
        open_view, official_view = entry if isinstance(entry, tuple) else (entry, entry)
        if open_view.path == path:
            return open_view if compatibility == OPEN else official_view
    raise LookupError(path)


@dataclass
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    prefixed: list[tuple[str, str, "_Node"]] = field(default_factory=list)
    """(prefix, parameter, node) of segments like `ext{name}`."""
    parameter: tuple[str, "_Node"] | None = None
    routes: dict[str, Route] = field(default_factory=dict)


_SEGMENT: Final = re.compile(r"([^{}]*)\{(\w+)\}")


class Router:
    """Finds the operation of a path: segments match in any case (C-7), a slash may follow."""

    def __init__(self, every: Iterable[Route]) -> None:
        self._root = _Node()
        for route in every:
            node = self._root
            for segment in route.path.strip("/").split("/"):
                node = self._child(node, segment)
            node.routes[route.method] = route

    def find(self, raw_path: str) -> tuple[Mapping[str, Route], dict[str, str]]:
        """Return the operations of a path, which is still percent-encoded, by method, and its
        parameters.

        Empty if the path is unknown.
        """
        node, parameters = self._root, dict[str, str]()
        for segment in raw_path.removeprefix("/").removesuffix("/").split("/"):
            plain = unquote(segment, errors="surrogateescape") if "%" in segment else segment
            following = self._follow(node, plain, parameters)
            if following is None:
                return {}, {}
            node = following
        return node.routes, parameters

    @staticmethod
    def _child(node: _Node, segment: str) -> _Node:
        match = _SEGMENT.fullmatch(segment)
        if match is None:
            return node.literals.setdefault(segment.lower(), _Node())
        prefix, name = match.groups()
        if not prefix:
            node.parameter = node.parameter or (name, _Node())
            return node.parameter[1]
        for existing, _, child in node.prefixed:
            if existing == prefix:
                return child
        child = _Node()
        node.prefixed.append((prefix, name, child))
        return child

    @staticmethod
    def _follow(node: _Node, segment: str, parameters: dict[str, str]) -> _Node | None:
        lowered = segment.lower()
        if (literal := node.literals.get(lowered)) is not None:
            return literal
        for prefix, name, child in node.prefixed:
            if lowered.startswith(prefix) and len(segment) > len(prefix):
                parameters[name] = segment[len(prefix) :]
                return child
        if node.parameter is not None and segment:
            name, child = node.parameter
            parameters[name] = segment
            return child
        return None
