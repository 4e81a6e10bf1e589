"""The page of a list: how it is requested, and how it is returned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from innkeeper.resources.base import Record
from innkeeper.store.work import Work

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100
"""Items on a page (RL-3); a larger limit is cut to this one (L-5)."""
MAX_OFFSET: Final = 2**63 - 1
_NO_PARTS: Final[Mapping[str, Sequence[str]]] = {}


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
    as_text: bool = False
    """Whether refs and instants are read as the API shows them, which takes half the time."""

    as_json: bool = False
    """Whether values are read as JSON text that is not decoded."""

    def page_of(self, records: list[Record]) -> Page:
        """This page of a list that is short enough to be read whole."""
        return Page(records[self.offset : self.offset + self.limit], len(records))

    @property
    def part(self) -> str:
        """The query of the part `page` of lists, which is planned once for usual first pages."""
        is_usual = not self.offset and self.limit in (DEFAULT_LIMIT, MAX_LIMIT)
        return f"paging.first_{self.limit}" if is_usual else "paging.any"


EVERYTHING: Final = PageRequest(limit=2**31 - 1)
"""The page of a list that is not paged (N-18)."""


async def read_page(
    work: Work,
    query: str,
    page_request: PageRequest,
    *,
    parts: Mapping[str, Sequence[str]] = _NO_PARTS,
    total: str = "total",
    **params: Any,
) -> Page:
    """Return a page of the list `query`, whose rows each have the number of all rows as `total`.

    A page after the last row reads that number from the first row.
    """
    limit, offset = page_request.limit, page_request.offset
    as_text = work.all_as_json if page_request.as_json else work.all_as_text
    read = as_text if page_request.as_text else work.all
    rows = await read(query, parts=parts, limit=limit, offset=offset, **params)
    counted = rows
    if offset and not rows:
        counted = await work.all(query, parts=parts, limit=1, offset=0, **params)
    items = rows if page_request.as_json else [flat(row) for row in rows]
    return Page(items, counted[0][total] if counted else 0)


def flat(row: Record) -> Record:
    """A row as one record: the members of its body, if it has one, beside its columns."""
    body: Record = row.pop("body", {})
    body.update(row)
    return body
