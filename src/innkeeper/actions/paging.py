"""What a caller asks of a list, and what it gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from innkeeper.resources.base import Record

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100
"""Items on a page (RL-3); a larger limit is cut to this one (L-5)."""


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one page, and how many there are in all."""

    items: list[Record]
    total: int


@dataclass(frozen=True, slots=True)
class Wanted:
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


EVERYTHING: Final = Wanted(limit=2**31 - 1)
"""The page of a list that is not paged (N-18)."""
