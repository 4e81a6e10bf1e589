"""Read the children of records as columns: in the parent's statement, or one for many parents.

A column is JSON text, which `parse` or `parse_as_text` turns into records.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final, TypedDict, cast
from uuid import UUID

import msgspec

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
from innkeeper.store.adapters import decode_json
from innkeeper.store.instant_text import instant_text
from innkeeper.store.work import Row, Work

ChildrenByKind = dict[type[Resource], str | None]
"""Kind of child -> the children of one parent as JSON text, oldest first; None without any."""

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


def query_parts(kinds: Collection[type[Resource]]) -> Mapping[str, Sequence[str]]:
    """Return the parts that make a statement with a table `parent` also read these children."""
    return _parts_of(tuple(kinds)) if kinds else {}


@cache
def _parts_of(kinds: tuple[type[Resource], ...]) -> Mapping[str, Sequence[str]]:
    parts: dict[str, Sequence[str]] = {}
    for kind in kinds:
        parts |= KINDS[kind].parts
    return {**parts, "children": [KINDS[kind].query for kind in kinds]}


def take_children(row: Row, kinds: Iterable[type[Resource]]) -> ChildrenByKind:
    """Remove the children from a row that was read with `query_parts`, and return them."""
    return {kind: row.pop(KINDS[kind].column) for kind in kinds}


async def read_children(
    work: Work, parents: Iterable[UUID], kinds: Collection[type[Resource]]
) -> dict[UUID, ChildrenByKind]:
    """Return the children of several parents, by parent, in one round trip."""
    rows = await work.all("child_records.of_many", parts=query_parts(kinds), parents=list(parents))
    return {row["ref"]: take_children(row, kinds) for row in rows}


def parse(kind: type[Resource], text: str) -> list[Record]:
    """Return children as records; their refs are text."""
    return KINDS[kind].select([_parse_child(row) for row in decode_json(text)])


def parse_as_text(text: str) -> list[Record]:
    """Return children, other than data extensions, as records whose values stay JSON text; their
    refs are bytes."""
    return [_parse_as_text(cast(Row, row)) for row in _decode_texts(text)]


def _parse_child(row: Row) -> Record:
    for name in INSTANTS:
        if name in row:
            row[name] = datetime.fromisoformat(row[name])
    return flat(row) if "body" in row else row


class _ChildText(TypedDict, total=False):
    """A row with the columns that responses show or link."""

    body: dict[str, msgspec.Raw]
    ref: str
    order_ref: str
    guest_ref: str
    order_items: list[str]
    ordered_at: str
    created_at: str
    modified_at: str
    order_status: str | None
    order_currency_code: str | None


_decode_texts: Final = msgspec.json.Decoder(list[_ChildText]).decode


def _parse_as_text(row: Row) -> Record:
    record: Record = row.pop("body")
    for name, value in row.items():
        if name in INSTANTS:
            # As a column, without the minutes of the offset.
            record[name] = b'"%b"' % instant_text(value[:-3]).encode()
        elif name == "order_items":
            record[name] = [ref.encode() for ref in value]
        else:
            record[name] = value.encode() if name.endswith("ref") else value
    return record
