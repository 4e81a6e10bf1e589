"""Lists: parse the requested page, and build the envelope with its links."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, quote
from uuid import UUID

import msgspec

from innkeeper.actions.paging import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET, PageRequest
from innkeeper.errors import Invalid, Problem, missing
from innkeeper.resources.kinds import Day, Whole
from innkeeper.resources.values import ValueRefused, ref_in, storable
from innkeeper.wire.json_text import encode
from innkeeper.wire.views import PairsView, View

Query = Mapping[str, str]

_WHOLE: Final = re.compile(r"-?[0-9]{1,40}", re.ASCII)
_LOST_PLUS: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}[\d:.,]{0,13}) (\d{2}(?::?\d{2})?)", re.ASCII
)
_PARENT: Final = "{parent}"
"""Stands for a URL in prepared text."""
OFFSET: Final = Whole(0, MAX_OFFSET)
LIMIT: Final = Whole(1)
PAGING: Final = ("expand", "offset", "limit")
IDENTIFIER: Final = ("identifiers.provider", "identifiers.id")


LISTS: Final = ("expand", "name")
"""Parameters with several words, which may be repeated instead (L-9, X-14)."""


class NoHit(Exception):
    """A filter that no stored value can match: the page is empty (CT-8)."""

    def __init__(self, page_request: PageRequest) -> None:
        super().__init__()
        self.page_request = page_request


def parse_query(raw: bytes) -> dict[str, str]:
    """Return the parameters of a query string; of several with one name the last one counts."""
    if not raw:
        return {}
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    query = dict(pairs)
    for name in LISTS:
        if name in query:
            query[name] = ",".join(value for other, value in pairs if other == name)
    return query


def parse_page(view: View, query: Query) -> PageRequest:
    """Parse the requested page; raises `Invalid` (L-3 to L-6), `NoHit`."""
    problems: list[Problem] = []
    window = read_window(query, problems)
    sort = _sort(view, query.get("sort", ""), problems)
    filters = _filters(view, query, problems)
    if view.needs_filter and not filters:
        names = list(view.filters)
        problems.append(Problem("query", f"either {' or '.join(names)} must be provided"))
    if problems:
        raise Invalid(*problems)
    page_request = replace(window, filters=filters, sort=sort, expand=expansion(query))
    for name, value in query.items():
        try:
            if _narrows(view, name):
                storable(value)
        except ValueRefused:
            raise NoHit(page_request) from None
    if any(filters[name] is None for name in view.ref_filters if name in filters):
        raise NoHit(page_request)
    return page_request


def expansion(query: Query) -> bool | frozenset[str]:
    """Parse `expand`: true, false or names of children (L-9)."""
    text = query.get("expand", "")
    words = frozenset(filter(None, text.split(",")))
    return True if "true" in words else words - {"false"} or False


def read_window(query: Query, problems: list[Problem]) -> PageRequest:
    """Parse `offset` and `limit`; adds to `problems`. A larger limit is cut to `MAX_LIMIT`."""
    values = {"offset": 0, "limit": DEFAULT_LIMIT}
    for name, kind in (("offset", OFFSET), ("limit", LIMIT)):
        try:
            values[name] = kind.read(number_in(query[name])) if name in query else values[name]
        except ValueRefused as refused:
            problems.append(Problem(name, refused.reason))
    return PageRequest(values["offset"], min(values["limit"], MAX_LIMIT))


def number_in(text: str) -> int | str:
    """Convert a parameter to a whole number; other text is returned unchanged."""
    return int(text) if _WHOLE.fullmatch(text) else text


def _sort(view: View, text: str, problems: list[Problem]) -> tuple[tuple[str, bool], ...]:
    if not view.sorts:
        return ()
    # Each key and each problem once: a second key of one name does not change the order.
    keys: dict[str, bool] = {}
    faults: dict[Problem, None] = {}
    for part in filter(None, text.split("|")):
        name, separator, direction = part.partition("::")
        if name not in view.sorts:
            faults[Problem("sort", f"value must be one of {','.join(view.sorts)}")] = None
        elif separator and direction not in ("ASC", "DESC"):
            faults[Problem("sort", "direction must be ASC or DESC")] = None
        else:
            keys.setdefault(view.sorts[name], direction == "DESC")
    problems += faults
    return tuple(keys.items())


def _narrows(view: View, name: str) -> bool:
    return name in view.filters or (name in IDENTIFIER and "identifier" in view.filters.values())


def _filters(view: View, query: Query, problems: list[Problem]) -> dict[str, Any]:
    filters: dict[str, Any] = {
        name: _as_stored(view, name, query[parameter])
        for parameter, name in view.filters.items()
        if parameter in query
    }
    if "identifier" in view.filters.values():
        # One filter of two parameters: one without the other has no effect (G-10).
        filters.pop("identifier", None)
        present = [parameter for parameter in IDENTIFIER if parameter in query]
        if len(present) == 1:
            problems += [missing(name) for name in IDENTIFIER if name not in present]
        elif present:
            filters["identifier"] = (query[IDENTIFIER[0]], query[IDENTIFIER[1]])
    return filters


def _as_stored(view: View, name: str, text: str) -> str | UUID | None:
    """Convert the value of a filter for comparison: a ref (None if it is not one), a day in its
    stored form (N-8)."""
    if name in view.ref_filters:
        return ref_in(text)
    field = view.resource.fields.get(name)
    if field is None or not isinstance(field.kind, Day):
        return text
    try:
        return field.kind.read(with_plus(text))
    except ValueRefused:
        return text


def with_plus(text: str) -> str:
    """Return an instant of a query; a `+` of its offset that arrived as a space, not encoded, is
    restored."""
    match = _LOST_PLUS.fullmatch(text)
    return f"{match[1]}+{match[2]}" if match else text


def envelope(
    view: View,
    url: str,
    query: Query,
    page: PageRequest,
    total: int,
    items: Sequence[Any],
    page_first: bool = False,
) -> dict[str, Any]:
    """Return a page with its links (L-1, L-2, L-7); `url` is absolute and without a query."""
    parameters = [(name, value) for name, value in query.items() if _narrows(view, name)]
    parameters += [(name, query[name]) for name in ("sort", "expand") if name in query]
    out = page_body(
        url, parameters, page, total, items, page_first=page_first, with_total=view.with_total
    )
    if isinstance(view, PairsView) and view.announces:
        parent, _, _ = url.rpartition("/")
        links = {member: {"href": parent} for member in view.parents}
        return {"name": view.announces, **out, "href": f"{url}/{view.announces}", **links}
    return out


def embedded_page(view: View) -> Callable[[str, Sequence[Any]], msgspec.Raw]:
    """Return the function (url, items) -> text of a page with all children of a resource, at most
    `MAX_LIMIT`, in a view without totals. The rest of the text is prepared."""
    last = "/" + view.path.rpartition("/")[2]
    page = envelope(view, _PARENT + last, {}, PageRequest(limit=MAX_LIMIT), 0, [])
    head, tail = encode(page).split(b'"items":[]')
    before, after = (text.split(_PARENT.encode()) for text in (head, tail))

    def write(url: str, items: Sequence[Any]) -> msgspec.Raw:
        parent = encode(url.removesuffix(last))[1:-1]
        parts = (parent.join(before), b'"items":', encode(items), parent.join(after))
        return msgspec.Raw(b"".join(parts))

    return write


def page_body(
    url: str,
    parameters: Iterable[tuple[str, str]],
    page: PageRequest,
    total: int,
    items: Sequence[Any],
    *,
    page_first: bool = False,
    with_total: bool = True,
) -> dict[str, Any]:
    """Return a page with links, whose query has `parameters` and the page."""
    rest = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters)

    def link(offset: int) -> dict[str, str]:
        window = f"offset={offset}&limit={page.limit}"
        parts = [window, rest] if page_first else [rest, window]
        return {"href": f"{url}?{'&'.join(filter(None, parts))}"}

    out: dict[str, Any] = {**link(page.offset), "offset": page.offset, "limit": page.limit}
    if with_total:
        out["totalCount"] = total
    out["first"] = link(0)
    out["last"] = link(max(0, (total - 1) // page.limit * page.limit))
    if page.offset + len(items) < total and items:
        out["next"] = link(page.offset + page.limit)
    if page.offset > 0:
        out["prev"] = link(max(0, page.offset - page.limit))
    return {**out, "items": items}
