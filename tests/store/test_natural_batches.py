"""Concurrent requests of one kind share a statement, and each gets what it would get alone."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from natural_batches import Act, run_alone, run_batched

from innkeeper.actions.records import guests, orders
from innkeeper.actions.records.extensions import OF_GUESTS
from innkeeper.actions.records.order_items import ITEMS
from innkeeper.actions.records.order_people import CONSUMERS, CONTACTS
from innkeeper.errors import Unknown
from innkeeper.resources.base import Record
from innkeeper.store.database import Database

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def new_guest(database: Database, **fields: Any) -> Record:
    changes = {"guest_type": "customer", **fields}
    record: Record = await run_alone(database, lambda work: guests.create(work, changes))
    return record


async def new_order(database: Database, reference: str) -> Record:
    changes = {"reference_id": reference, "ordered_at": NOW, "status": "CONFIRMED"}
    record: Record = await run_alone(database, lambda work: orders.create(work, changes))
    return record


async def of_each_kind(database: Database, number: int) -> dict[str, tuple[Any, UUID]]:
    """One record of each kind that is read by ref, with the action that reads it."""
    guest = await new_guest(database, email=f"{number}@example.com")
    order = await new_order(database, f"R-{number}")
    person = {"emails": [f"{number}@example.org"]}
    item, contact, consumer, _ = [
        await run_alone(database, act)
        for act in (
            lambda work: ITEMS.create(work, {"name": f"item {number}"}, order=order["ref"]),
            lambda work: CONTACTS.create(work, dict(person), order=order["ref"]),
            lambda work: CONSUMERS.create(work, dict(person), order=order["ref"]),
            lambda work: OF_GUESTS.create(
                work,
                changes={"name": "loyalty", "pairs": {"tier": str(number)}, "single": False},
                guest=guest["ref"],
            ),
        )
    ]
    return {
        "guest": (guests.fetch, guest["ref"]),
        "order": (orders.fetch, order["ref"]),
        "item": (lambda work, ref: ITEMS.fetch(work, order_item=ref), item["ref"]),
        "contact": (lambda work, ref: CONTACTS.fetch(work, ref=ref), contact["ref"]),
        "consumer": (lambda work, ref: CONSUMERS.fetch(work, ref=ref), consumer["ref"]),
        "extension": (lambda work, ref: OF_GUESTS.fetch(work, "loyalty", guest=ref), guest["ref"]),
    }


def reading(read: Any, ref: UUID) -> Act:
    return lambda work: read(work, ref)


async def test_reads_that_share_a_statement_are_as_alone(database: Database) -> None:
    """P1: each kind, one ref twice, and one that does not exist, which fails alone."""
    records = [await of_each_kind(database, number) for number in range(3)]
    for kind in records[0]:
        reads = [reading(*record[kind]) for record in records]
        alone = [await run_alone(database, read) for read in reads]
        nowhere = reading(records[0][kind][0], uuid4())
        first, again, unknown, *rest = await run_batched(
            database, reads[0], reads[0], nowhere, *reads[1:]
        )
        assert [first, again, *rest] == [alone[0], alone[0], *alone[1:]], kind
        assert first is not again
        assert isinstance(unknown, Unknown), kind


async def test_a_batched_read_sees_each_acknowledged_write(database: Database) -> None:
    """P1: a write that is acknowledged before the read begins, while a batch runs."""
    guest = await new_guest(database, city="Cork")
    read = reading(guests.fetch, guest["ref"])
    assert (await run_alone(database, read))["city"] == "Cork"
    gate = asyncio.Event()
    (queue,) = database.batches.values()
    held = asyncio.ensure_future(queue.run(None, gate.wait))
    await asyncio.sleep(0)
    await run_alone(database, lambda work: guests.patch(work, guest["ref"], {"city": "Galway"}))
    reads = [asyncio.ensure_future(run_alone(database, read)) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    await held
    assert [record["city"] for record in await asyncio.gather(*reads)] == ["Galway"] * 3
