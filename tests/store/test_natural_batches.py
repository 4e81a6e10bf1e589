"""Concurrent requests of one kind share a statement, and each gets what it would get alone."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from natural_batches import Act, on_demand, run_alone, run_batched, skip_if_forced

from innkeeper.actions.identity import ledger, merges
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records import guests, idempotency, orders
from innkeeper.actions.records.extensions import OF_GUESTS
from innkeeper.actions.records.idempotency import FirstResponse, KeyedRequest, scope_id
from innkeeper.actions.records.order_items import ITEMS
from innkeeper.actions.records.order_people import CONSUMERS, CONTACTS
from innkeeper.errors import BadRequest, Conflict, Unknown
from innkeeper.resources.base import Record
from innkeeper.rules.identity_keys import digest, lock_of, reference_key
from innkeeper.rules.merging import intent
from innkeeper.store.batching import ALONE
from innkeeper.store.database import Database
from innkeeper.store.work import Work

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


async def test_equal_lists_that_share_a_result_are_as_alone(database: Database) -> None:
    """Each gets records of its own, which the encoder changes; another list is read by itself."""
    for number in range(3):
        await new_guest(database, email=f"{number}@example.com")

    def page(limit: int) -> Act:
        request = PageRequest(limit=limit, as_text=True, as_json=True)
        return lambda work: guests.list_(work, request)

    alone = (await run_alone(database, page(3))).items
    first, second = await run_batched(database, page(3), page(3))
    assert first.items == second.items == alone
    first.items[0].clear()
    assert second.items == alone
    assert (await run_alone(database, page(2))).items == alone[:2]
    oldest = UUID(alone[0]["ref"].decode())
    await run_alone(database, lambda work: guests.delete(work, oldest))
    assert [len(page.items) for page in await run_batched(database, page(3), page(3))] == [2, 2]


async def test_a_batched_read_sees_each_acknowledged_write(database: Database) -> None:
    """P1: a write that is acknowledged before the read begins, while a batch runs."""
    guest = await new_guest(database, city="Cork")
    read = reading(guests.fetch, guest["ref"])
    assert (await run_alone(database, read))["city"] == "Cork"
    gate = asyncio.Event()
    _, queue = database.batches
    task = asyncio.ensure_future(queue.run(None, gate.wait))
    await asyncio.sleep(0)
    await run_alone(database, lambda work: guests.patch(work, guest["ref"], {"city": "Galway"}))
    reads = [asyncio.ensure_future(run_alone(database, read)) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    await task
    assert [record["city"] for record in await asyncio.gather(*reads)] == ["Galway"] * 3


def creating_order(reference: str, at: datetime = NOW, **fields: Any) -> Act:
    changes = {"reference_id": reference, "ordered_at": at, "status": "CONFIRMED", **fields}
    return lambda work: orders.create(work, changes)


def creating_guest(**fields: Any) -> Act:
    return lambda work: guests.create(work, {"guest_type": "customer", **fields})


async def test_guests_created_in_one_batch(database: Database) -> None:
    """P1: each is stored with its keys, as alone; one that cannot be stored fails alone."""
    await new_guest(database)
    creates = [creating_guest(email=f"{number}@example.com", city="Ærø") for number in range(3)]
    bad = creating_guest(city="\ud800")
    first, failed, *others = await run_batched(database, creates[0], bad, *creates[1:])
    assert isinstance(failed, BadRequest)
    async with database.work("live") as work:
        for number, guest in enumerate([first, *others]):
            stored = await guests.fetch(work, guest["ref"])
            assert stored["email"] == f"{number}@example.com"
            assert {name: stored.get(name) for name in guest} == guest
            page = await guests.list_(work, PageRequest(filters={"email": stored["email"]}))
            assert [each["ref"] for each in page.items] == [guest["ref"]]
        assert (await guests.list_(work, PageRequest())).total == 4


async def test_rules_that_change_before_a_batch_of_guests(database: Database) -> None:
    """P1: no guest is stored with keys of earlier rules; each is created by the rules in force."""
    await new_guest(database)
    async with database.work("live") as work:
        await work.connection.execute(
            "UPDATE ws_live.identity_settings SET version = gen_random_uuid()"
        )
    created = await run_batched(database, *[creating_guest(city=str(n)) for n in range(3)])
    assert [guest["city"] for guest in created] == ["0", "1", "2"]


async def test_orders_created_in_one_batch(database: Database) -> None:
    """P1, O-1 to O-3: new ones together; those that match an order, or one of the batch, update it
    in order of arrival."""
    stored = await new_order(database, "A")
    new, match, first, second, far = await run_batched(
        database,
        creating_order("B", price=Decimal("12.50")),
        creating_order("A", status="CANCELLED"),
        creating_order("C", status="PURCHASED"),
        creating_order("C", status="REFUNDED"),
        creating_order("A", NOW + timedelta(days=30)),
    )
    assert new["fresh"]
    assert str(new["price"]) == "12.50"
    assert (match["ref"], match["status"], match["fresh"]) == (stored["ref"], "CANCELLED", False)
    assert (first["status"], second["status"]) == ("PURCHASED", "REFUNDED")
    assert (first["ref"], first["fresh"], second["fresh"]) == (second["ref"], True, False)
    assert far["fresh"]
    for order in (new, match, second, far):
        fetched = await run_alone(database, reading(orders.fetch, order["ref"]))
        assert fetched == {name: value for name, value in order.items() if name != "fresh"}


async def test_a_reference_that_others_have_locked_is_left_alone(database: Database) -> None:
    """P1: a batch waits for no lock; only the order with that referenceId does."""
    skip_if_forced()
    await new_order(database, "A")
    async with database.work("live") as other:
        async with other.transaction():
            lock = lock_of(reference_key("B"))
            await other.connection.execute("SELECT pg_advisory_xact_lock(%s)", [lock])
            batch = run_batched(database, *map(creating_order, "BCD"))
            waiting = asyncio.ensure_future(batch)
            async with asyncio.timeout(10):
                while len(await _references(database)) < 3:
                    await asyncio.sleep(0.01)
            assert await _references(database) == {"A", "C", "D"}
        assert [order["fresh"] for order in await waiting] == [True] * 3


async def test_a_call_that_waits_for_its_key_holds_no_connection(database: Database) -> None:
    """P1: also while no batch runs, but a call that its batch left alone."""
    skip_if_forced()
    gate = asyncio.Event()

    async def run_batch(*_: Any) -> list[Any]:
        raise AssertionError("one call is no batch")

    async def respond() -> str:
        return "done"

    async with on_demand(database) as work:
        await work.one("guests.count_all")
        queue = database.batches.get("test", ("live", None), run_batch)
        earlier = asyncio.ensure_future(queue.run(1, gate.wait, "key", is_slow=True))
        await asyncio.sleep(0)
        later = asyncio.ensure_future(work.in_batch("test", run_batch, 2, respond, "key"))
        while not queue._pending:
            await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="no connection is held"):
            _ = work.connection
        gate.set()
        assert await earlier
        assert await later == "done"


async def _references(database: Database) -> set[str]:
    async with database.work("live") as work:
        return {order["reference_id"] for order in (await orders.list_(work, PageRequest())).items}


async def test_items_created_in_one_batch(database: Database) -> None:
    """P1: with the columns of their orders; an unknown order fails alone."""
    one = await new_order(database, "A")
    other = await new_order(database, "B")

    def creating(name: str, order: UUID) -> Act:
        return lambda work: ITEMS.create(work, {"name": name}, order=order)

    await run_alone(database, creating("first", one["ref"]))
    targets = [one["ref"], other["ref"], uuid4(), one["ref"]]
    results = await run_batched(
        database, *[creating(str(number), ref) for number, ref in enumerate(targets)]
    )
    assert isinstance(results.pop(2), Unknown)
    assert [item["order_ref"] for item in results] == [one["ref"], other["ref"], one["ref"]]
    for item in results:
        assert item["order_status"] == "CONFIRMED"
        assert item["ordered_at"] == NOW
        fetch = partial(ITEMS.fetch, order_item=item["ref"])
        assert await run_alone(database, fetch) == item
    page = await run_alone(
        database, lambda work: ITEMS.list_(work, PageRequest(), order=one["ref"])
    )
    assert {item["name"] for item in page.items} == {"first", "0", "3"}


async def test_guests_changed_in_one_batch(database: Database) -> None:
    """P1: as alone, with their keys; a second change to a guest comes after the first, and a guest
    that is unknown or in a merged group is left alone."""
    several = [await new_guest(database, email=f"{n}@example.com") for n in range(5)]
    first, second, third, survivor, absorbed = (guest["ref"] for guest in several)
    async with database.work("live") as work:
        await merges.create(work, survivor, absorbed)

    def patching(guest: UUID, **changes: Any) -> Act:
        return lambda work: guests.patch(work, guest, changes)

    await run_alone(database, patching(first, city="Sligo"))
    results = await run_batched(
        database,
        patching(first, email="new@example.com"),
        patching(second, city="Cork"),
        patching(second, city="Galway"),
        patching(uuid4(), city="Cork"),
        patching(survivor, city="Ennis"),
        patching(absorbed, city="Ennis"),
        patching(third, city=None),
    )
    unknown, retired = results.pop(3), results.pop(4)
    assert isinstance(unknown, Unknown)
    assert isinstance(retired, Unknown)
    cities = [guest.get("city") for guest in results]
    assert cities == ["Sligo", "Cork", "Galway", "Ennis", None]
    del results[1]
    for guest in results:
        assert await run_alone(database, reading(guests.fetch, guest["ref"])) == guest
    for email, expected in (("new@example.com", [first]), ("0@example.com", [])):
        result = await run_alone(
            database, lambda work, by=email: guests.list_(work, PageRequest(filters={"email": by}))
        )
        assert [guest["ref"] for guest in result.items] == expected


async def test_a_guest_that_another_has_locked_is_left_alone(database: Database) -> None:
    """P1: a batch of changes waits for no lock."""
    several = [(await new_guest(database))["ref"] for _ in range(3)]
    async with database.work("live") as other, other.transaction():
        assert await other.one("guests.lock", ref=several[0])
        async with database.work("live") as work:
            changes = [(ref, intent("patch", NOW, changes={"city": "Cork"})) for ref in several]
            outcomes = await ledger.write_guests(work, changes)
    assert [outcome is ALONE for outcome in outcomes] == [True, False, False]


def creating_contact(order: Record, **person: Any) -> Act:
    return lambda work: CONTACTS.create(work, person, order=order["ref"])


async def test_contacts_created_in_one_batch(database: Database) -> None:
    """P1: new people and known ones together; equal people are one guest; whose guest learns
    something, or whose order does not exist, gets what it would get alone."""
    names = ("ann", "bob", "cy", "dee")
    ids = {name: [{"provider": "email", "id": f"{name}@x.com"}] for name in names}
    existing = await new_guest(database, identifiers=ids["bob"], emails=["bob@x.com"])
    order = await new_order(database, "R-1")
    await run_alone(database, creating_contact(order, identifiers=ids["cy"]))
    form = {"ref": uuid4()}
    ann, twin, bob, missing, taught, cy, dee, user = await run_batched(
        database,
        creating_contact(order, identifiers=ids["ann"], first_name="Ann"),
        creating_contact(order, identifiers=ids["ann"], first_name="Ann"),
        creating_contact(order, identifiers=ids["bob"]),
        creating_contact(form, identifiers=ids["ann"]),
        creating_contact(order, identifiers=ids["bob"], city="Cork"),
        creating_contact(order, identifiers=ids["cy"]),
        creating_contact(order, identifiers=ids["dee"]),
        lambda work: CONSUMERS.create(work, {"identifiers": ids["cy"]}, order=order["ref"]),
    )
    assert isinstance(missing, Unknown)
    assert user["guest_ref"] == cy["guest_ref"]
    assert ann["guest_ref"] == twin["guest_ref"] != cy["guest_ref"]
    assert bob["guest_ref"] == taught["guest_ref"] == existing["ref"]
    async with database.work("live") as work:
        assert (await guests.list_(work, PageRequest())).total == 4
        assert (await guests.fetch(work, existing["ref"]))["city"] == "Cork"
        contacts = await CONTACTS.list_(work, PageRequest(), order=order["ref"])
        cursor = await work.connection.execute(
            "SELECT source || ' ' || rule || ' ' || (evidence -> 0 ->> 'value') AS note "
            "FROM ws_live.guest_joins WHERE guest_ref = ANY (%s)",
            [[cy["guest_ref"], dee["guest_ref"]]],
        )
        notes = sorted(row["note"] for row in await cursor.fetchall())
    assert contacts.total == 7
    assert notes == [
        *["order consumer email cy@x.com"],
        *["order contact email cy@x.com"] * 2,
        *["order contact email dee@x.com"],
    ]


async def test_keyed_requests_in_one_batch(database: Database) -> None:
    """P1: with `Idempotency-Key` requests share a transaction; a stored response is returned
    without a write, a key of another request conflicts, and one that fails undoes no other."""

    def request(key: str, body: str, city: str = "Cork") -> Act:
        async def respond(work: Work) -> FirstResponse:
            guest = await guests.create(work, {"guest_type": "customer", "city": city})
            return FirstResponse(201, None, str(guest["ref"]).encode())

        keyed = KeyedRequest(scope_id("key", "/", key), digest("request", body), body, respond)
        return lambda work: idempotency.respond_once(work, keyed, 24)

    first = await run_alone(database, request("a", "1"))
    again, other, failed, *new = await run_batched(
        database,
        request("a", "1"),
        request("a", "2"),
        request("b", "3", "\ud800"),
        request("c", "4"),
        request("d", "5"),
    )
    assert (again.is_replayed, again.body) == (True, first.body)
    assert isinstance(other, Conflict)
    assert isinstance(failed, BadRequest)
    assert [response.is_replayed for response in new] == [False, False]
    async with database.work("live") as work:
        assert (await guests.list_(work, PageRequest())).total == 3
        cursor = await work.connection.execute(
            "SELECT ref::text, creation_reason ->> 'actor' AS actor FROM ws_live.guests"
        )
        actors = {row["ref"]: row["actor"] for row in await cursor.fetchall()}
    assert [actors[response.body.decode()] for response in (first, *new)] == ["1", "4", "5"]
    replayed = await run_alone(database, request("c", "4"))
    assert (replayed.is_replayed, replayed.body) == (True, new[0].body)


async def test_equal_keyed_requests_in_one_batch(database: Database) -> None:
    """P1: the second is a repetition of the first, and no other request runs again for it."""
    ran: list[str] = []

    def request(key: str) -> Act:
        async def respond(_: Work) -> FirstResponse:
            ran.append(key)
            return FirstResponse(201, None, key.encode())

        keyed = KeyedRequest(scope_id("key", "/", key), digest("request", key), "test", respond)
        return lambda work: idempotency.respond_once(work, keyed, 24)

    await run_alone(database, request("a"))
    responses = await run_batched(database, *map(request, "bbcb"))
    assert [response.body for response in responses] == [b"b", b"b", b"c", b"b"]
    assert [response.is_replayed for response in responses] == [False, True, False, True]
    assert ran == ["a", "b", "c"]
