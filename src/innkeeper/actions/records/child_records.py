"""Read the children of records as columns: in the parent's statement, or one for many parents."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.paging import flat
from innkeeper.actions.records.extensions import (
    OF_GUESTS,
    OF_ORDER_ITEMS,
    OF_ORDERS,
    Extensions,
    one_per_name,
)
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.guests import GuestExtension
from innkeeper.resources.orders import CHILDREN, OrderExtension, OrderItemExtension
from innkeeper.store.work import Row, Work

ChildrenByKind = dict[type[Resource], list[Record]]
"""Kind of child -> the children of one parent, oldest first. Their refs are text, as in JSON."""

INSTANTS: Final = ("ordered_at", "created_at", "modified_at")


@dataclass(frozen=True)
class _Kind:
    """One kind of child: the name of its column, the query of that, its parts, and the choice of
    rows."""

    column: str
    query: str
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    select: Callable[[list[Record]], list[Record]] = field(default=list)


def _extensions(rows: Extensions) -> _Kind:
    return _Kind("extensions", "child_records.extensions", rows.parts, one_per_name)


KINDS: Final[Mapping[type[Resource], _Kind]] = {
    **{child: _Kind(child.table, f"{child.table}.column") for child in CHILDREN},
    GuestExtension: _extensions(OF_GUESTS),
    OrderExtension: _extensions(OF_ORDERS),
    OrderItemExtension: _extensions(OF_ORDER_ITEMS),
}


def query_parts(kinds: Collection[type[Resource]]) -> dict[str, Sequence[str]]:
    """Return the parts that make a statement with a table `parent` also read these children."""
    if not kinds:
        return {}
    parts: dict[str, Sequence[str]] = {}
    for kind in kinds:
        parts |= KINDS[kind].parts
    return {**parts, "children": [KINDS[kind].query for kind in kinds]}


def take_children(row: Row, kinds: Iterable[type[Resource]]) -> ChildrenByKind:
    """Remove the children from a row that was read with `query_parts`, and return them."""
    return {
        kind: KINDS[kind].select(
            [_parse_child(child) for child in row.pop(KINDS[kind].column) or ()]
        )
        for kind in kinds
    }


async def read_children(
    work: Work, parents: Iterable[UUID], kinds: Collection[type[Resource]]
) -> dict[UUID, ChildrenByKind]:
    """Return the children of several parents, by parent, in one round trip."""
    rows = await work.all("child_records.of_many", parts=query_parts(kinds), parents=list(parents))
    return {row["ref"]: take_children(row, kinds) for row in rows}


def _parse_child(child: Row) -> Record:
    """Convert a row that was read as JSON to a record; its refs stay text."""
    row: dict[str, Any] = child
    for name in INSTANTS:
        if name in row:
            row[name] = datetime.fromisoformat(row[name])
    return flat(row) if "body" in row else row
