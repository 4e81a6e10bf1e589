"""What belongs to records, read as columns of one statement: theirs, or one for many parents."""

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
    one_a_name,
)
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.guests import GuestExtension
from innkeeper.resources.orders import (
    OrderConsumer,
    OrderContact,
    OrderExtension,
    OrderItem,
    OrderItemExtension,
)
from innkeeper.store.work import Row, Work

Children = dict[type[Resource], list[Record]]
"""Kind of child -> those of one parent, oldest first. Their refs are text, as JSON has them."""

INSTANTS: Final = ("ordered_at", "created_at", "modified_at")


@dataclass(frozen=True)
class _Kind:
    """One kind of child: its query `child_records.{column}`, the parts that needs, what is kept."""

    column: str
    parts: Mapping[str, Sequence[str]]
    select: Callable[[list[Record]], list[Record]] = field(default=list)


_PERSON: Final = {"person_columns": ["order_people.columns"]}


def _extensions(rows: Extensions) -> _Kind:
    return _Kind("extensions", rows.parts, one_a_name)


KINDS: Final[Mapping[type[Resource], _Kind]] = {
    OrderItem: _Kind("order_items", {"item_columns": ["order_items.columns"]}),
    OrderContact: _Kind("order_contacts", _PERSON),
    OrderConsumer: _Kind("order_consumers", {**_PERSON, "used_items": ["order_people.items"]}),
    GuestExtension: _extensions(OF_GUESTS),
    OrderExtension: _extensions(OF_ORDERS),
    OrderItemExtension: _extensions(OF_ORDER_ITEMS),
}


def parts_of(kinds: Collection[type[Resource]]) -> dict[str, Sequence[str]]:
    """The parts that make a statement with a table `parent` read children of these kinds too."""
    found: dict[str, Sequence[str]] = {}
    for kind in kinds:
        found |= KINDS[kind].parts
    return {**found, "children": [f"child_records.{KINDS[kind].column}" for kind in kinds]}


def taken(row: Row, kinds: Iterable[type[Resource]]) -> Children:
    """The children in a row that was read with `parts_of`, taken out of it."""
    return {
        kind: KINDS[kind].select([_restored(child) for child in row.pop(KINDS[kind].column) or ()])
        for kind in kinds
    }


async def of_many(
    work: Work, parents: Iterable[UUID], kinds: Collection[type[Resource]]
) -> dict[UUID, Children]:
    """The children of several parents, by parent, in one round trip."""
    rows = await work.all("child_records.of_many", parts=parts_of(kinds), parents=list(parents))
    return {row["ref"]: taken(row, kinds) for row in rows}


def _restored(child: Row) -> Record:
    """A row that came as JSON, as it would have come by itself, but for its refs."""
    told: dict[str, Any] = child
    for name in INSTANTS:
        if name in told:
            told[name] = datetime.fromisoformat(told[name])
    return flat(told) if "body" in told else told
