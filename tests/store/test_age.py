"""What one request makes stands in the order it was made."""

from datetime import UTC, datetime
from typing import Any

from innkeeper import clock
from innkeeper.actions.records import orders
from innkeeper.actions.records.order_items import ITEMS
from innkeeper.actions.records.order_people import CONTACTS
from innkeeper.store.work import Work

ORDER: dict[str, Any] = {"reference_id": "R-1", "ordered_at": "2026-03-01T12:00:00.000Z"}
MANY = 12  # By chance they stand in order once in 479,001,600 times.


async def test_parts_of_an_order_are_listed_in_order_of_creation(work: Work) -> None:
    """L-10, though all of it is made in one moment."""
    names = [f"part {number}" for number in range(MANY)]
    with clock.simulated(datetime(2026, 3, 1, tzinfo=UTC)):
        order = (await orders.create(work, ORDER))["ref"]
        for name in names:
            await ITEMS.create(work, order=order, changes={"name": name})
            await CONTACTS.create(
                work, order=order, changes={"first_name": name, "emails": [f"{name[5:]}@x.com"]}
            )
    items = (await ITEMS.of_many(work, [order]))[order]
    contacts = (await CONTACTS.of_many(work, [order]))[order]
    assert [item["name"] for item in items] == names
    assert [contact["first_name"] for contact in contacts] == names
