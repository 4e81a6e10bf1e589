"""Order items: create, fetch, list, replace, patch, delete."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.paging import Page, PageRequest, flat, read_page
from innkeeper.actions.records import orders
from innkeeper.errors import Unknown
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.orders import OrderConsumer, OrderItem
from innkeeper.rules.orders import Show, replacement
from innkeeper.store.work import Json, Work

COLUMNS: Final = frozenset(
    {
        *(name for name, field in OrderItem.fields.items() if field.column),
        *("order_ref", "order_status", "order_currency_code", "order_ordered_at"),
    }
)
"""Fields that are not in a row's body, including the columns of the order."""
_READ: Final = {"columns": ["order_items.columns"]}


async def create(work: Work, order: UUID, changes: Changes, guest: UUID | None = None) -> Record:
    """Create an item of an order; the order does not change (I-7). Raises `Unknown`.

    With `guest`, only if the order is linked to that guest.
    """
    filters = ["orders.by_guest_ref"] if guest is not None else []
    params = {"guest_ref": guest} if guest is not None else {}
    row = await work.one(
        "order_items.create",
        parts={"filters": filters},
        ref=uuid4(),
        order=order,
        ordered_at=changes.get("ordered_at"),
        body=_body(changes),
        now=work.stamp(),
        **params,
    )
    if row is None:
        # Raises, unless the order was created between the two statements.
        await orders.fetch(work, order, guest)
        raise Unknown("Order", order)
    return flat(row)


async def fetch(work: Work, order_item: UUID) -> Record:
    """Return one item; raises `Unknown`."""
    row = await work.one_batched("order_items.fetch", parts=_READ, ref=order_item)
    return flat(row or _unknown(order_item))


async def list_(
    work: Work,
    page_request: PageRequest,
    order: UUID | None = None,
    order_consumer: UUID | None = None,
    guest: UUID | None = None,
) -> Page:
    """Return a page of the items of an order, or of those that a consumer uses (P-7)."""
    if guest is not None and order is not None:
        await orders.fetch(work, order, guest)
    owner = "order_items.by_order" if order_consumer is None else "order_items.by_consumer"
    page = await read_page(
        work,
        "order_items.list",
        page_request,
        parts={**_READ, "filters": [owner], "total": ["order_items.count"]},
        order=order,
        order_consumer=order_consumer,
    )
    if not page.total and order is not None:
        await orders.fetch(work, order)
    if not page.total and order_consumer is not None:
        await _check_consumer(work, order_consumer)
    return page


async def of_many(work: Work, refs: Iterable[UUID]) -> dict[UUID, list[Record]]:
    """Return the items of several orders, by order."""
    by_order: dict[UUID, list[Record]] = {ref: [] for ref in refs}
    for row in await work.all("order_items.of_many", parts=_READ, parents=list(by_order)):
        by_order[row["order_ref"]].append(flat(row))
    return by_order


async def count_of_many(work: Work, refs: Iterable[UUID]) -> dict[UUID, int]:
    """Return the number of items of several orders, by order."""
    parents = list(refs)
    rows = await work.all("order_items.numbers", parents=parents)
    return dict.fromkeys(parents, 0) | {row["order_ref"]: row["number"] for row in rows}


async def replace(
    work: Work, order_item: UUID, changes: Changes, preserved: Mapping[str, Show] | None = None
) -> Record:
    """PUT: clear optional fields that are not in the request (I-4), except `preserved` ones.

    Returns the item; raises `Unknown`.
    """

    def replace_fields(stored: Record) -> Changes:
        mutable = {name: value for name, value in stored.items() if name not in COLUMNS}
        whole = replacement(mutable, changes, preserved or {})
        return {"ordered_at": stored["order_ordered_at"], **whole}

    return await _rewrite(work, order_item, replace_fields)


async def patch(work: Work, order_item: UUID, changes: Changes) -> Record:
    """PATCH: change only the fields in the request; None clears (I-4). Raises `Unknown`."""
    return await _rewrite(work, order_item, lambda _: changes)


async def delete(work: Work, order_item: UUID) -> None:
    """Delete an item with its extension; raises `Unknown`."""
    if not await work.run("order_items.delete", ref=order_item):
        _unknown(order_item)


async def _rewrite(work: Work, order_item: UUID, change: Callable[[Record], Changes]) -> Record:
    """Store the result of `change` on an item and return the item; raises `Unknown`."""
    async with work.transaction():
        row = await work.one("order_items.lock", parts=_READ, ref=order_item)
        stored = flat(row or _unknown(order_item))
        after = {**stored, **change(stored), "modified_at": clock.now()}
        after = {name: value for name, value in after.items() if value is not None}
        await work.run(
            "order_items.rewrite",
            ref=order_item,
            ordered_at=after["ordered_at"],
            body=_body(after),
            now=after["modified_at"],
        )
    return after


def _body(record: Record) -> Json:
    return Json(
        {name: value for name, value in record.items() if value is not None and name not in COLUMNS}
    )


async def _check_consumer(work: Work, consumer: UUID) -> None:
    """Raise `Unknown` unless a consumer exists."""
    parts = {"table": ["order_people.consumers"]}
    if await work.one("order_people.exists", parts=parts, ref=consumer) is None:
        raise Unknown(OrderConsumer.singular, consumer)


def _unknown(order_item: UUID) -> Record:
    raise Unknown(OrderItem.singular, order_item)
