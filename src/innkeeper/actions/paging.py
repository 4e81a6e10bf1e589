"""What a caller asks of a list, and what it gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from innkeeper.resources.base import Record

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100
"""Items on a page (RL-3); a larger limit is cut to this one (L-5)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One page of a list: filters by field name, sort keys as (field, descending)."""

    offset: int = 0
    limit: int = DEFAULT_LIMIT
    filters: Mapping[str, Any] = field(default_factory=dict)
    sort: tuple[tuple[str, bool], ...] = ()
    expand: bool | frozenset[str] = False
    """Children to embed: all of them, or those named (L-9)."""


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one page, and how many there are in all."""

    items: list[Record]
    total: int
