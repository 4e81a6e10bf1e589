"""Order items: children of orders, with time, status and currency of the order as defaults."""

from typing import Final
from uuid import UUID, uuid4

from innkeeper.actions.paging import Page, PageRequest, flat, read_page
from innkeeper.actions.records import orders
from innkeeper.actions.records.children import Children
from innkeeper.actions.records.order_people import CONSUMERS
from innkeeper.errors import Unknown
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.orders import OrderItem
from innkeeper.store.work import Work


class OrderItems(Children):
    """The operations on items of orders."""

    read_columns = frozenset({"order_status", "order_currency_code", "order_ordered_at"})

    async def create(
        self, work: Work, changes: Changes, guest: UUID | None = None, **parent: UUID
    ) -> Record:
        """Create an item of an order; the order does not change (I-7). Raises `Unknown`.

        With `guest`, only if the order is linked to that guest.
        """
        order = parent["order"]
        params = {
            "ref": uuid4(),
            "parent": order,
            "ordered_at": changes.get("ordered_at"),
            "body": self.body(changes),
            "now": work.stamp(),
        }
        if guest is None:
            row = await work.create_batched(
                "order_items.create", "order_items.create_all", key=order, **params
            )
        else:
            parts = {"filters": ["orders.by_guest_ref"]}
            row = await work.one("order_items.create", parts=parts, **params, guest_ref=guest)
        if row is None:
            # Raises, unless the order was created between the two statements.
            await orders.fetch(work, order, guest)
            raise Unknown("Order", order)
        return flat(row)

    async def list_(
        self,
        work: Work,
        page_request: PageRequest,
        order_consumer: UUID | None = None,
        guest: UUID | None = None,
        **parent: UUID,
    ) -> Page:
        """Return a page of the items of an order, or of those that a consumer uses (P-7)."""
        if order_consumer is not None:
            parts = {"filters": ["order_items.by_consumer"]}
            page = await read_page(
                work, "order_items.list", page_request, parts=parts, order_consumer=order_consumer
            )
            if not page.total:
                await CONSUMERS.check(work, order_consumer)
            return page
        if guest is not None:
            await orders.fetch(work, parent["order"], guest)
        return await super().list_(work, page_request, **parent)

    def defaults(self, stored: Record) -> Changes:
        """The time of the order."""
        return {"ordered_at": stored["order_ordered_at"]}

    async def write(self, work: Work, stored: Record, changes: Changes, after: Record) -> Record:
        """Store a locked item."""
        await work.run(
            "order_items.rewrite",
            ref=stored["ref"],
            ordered_at=after["ordered_at"],
            body=self.body(after),
            now=after["modified_at"],
        )
        return {}


ITEMS: Final = OrderItems(OrderItem)
