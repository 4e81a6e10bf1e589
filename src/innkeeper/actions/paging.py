"""What a caller asks of a list, and what it gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from innkeeper.resources.base import Record
from innkeeper.store.work import Work

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100
"""Items on a page (RL-3); a larger limit is cut to this one (L-5)."""


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one page, and how many there are in all."""

    items: list[Record]
    total: int


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page of a list: filters by field name, sort keys as (field, descending)."""

    offset: int = 0
    limit: int = DEFAULT_LIMIT
    filters: Mapping[str, Any] = field(default_factory=dict)
    sort: tuple[tuple[str, bool], ...] = ()
    expand: bool | frozenset[str] = False
    """Children to embed: all of them, or those named (L-9)."""

    def page_of(self, records: list[Record]) -> Page:
        """This page of a list that is short enough to be read whole."""
        return Page(records[self.offset : self.offset + self.limit], len(records))


EVERYTHING: Final = PageRequest(limit=2**31 - 1)
"""The page of a list that is not paged (N-18)."""


async def read_page(
    work: Work,
    page_request: PageRequest,
    resource: str,
    parts: Mapping[str, Sequence[str]],
    counted: str = "count",
    **params: Any,
) -> Page:
    """A page through `{resource}.list`, whose rows each hold the number of all.

    `counted` is the query of that number; only `count` has the markers of `parts`.
    """
    rows = await work.all(
        f"{resource}.list",
        parts={**parts, "total": [f"{resource}.{counted}"]},
        limit=page_request.limit,
        offset=page_request.offset,
        **params,
    )
    if rows:
        return Page([flat(row) for row in rows], rows[0]["total"])
    if not page_request.offset:
        return Page([], 0)
    # The page lies behind the last row, whose number it must tell all the same.
    own = {name: part for name, part in parts.items() if name in ("filters", "table")}
    counting = await work.one(
        f"{resource}.{counted}", parts=own if counted == "count" else {}, **params
    )
    return Page([], counting["total"] if counting else 0)


def flat(row: Record) -> Record:
    """A row as one record: the members of its body beside its columns."""
    body: Record = row.pop("body")
    body.update(row)
    return body
