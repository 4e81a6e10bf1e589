"""F3: whatever lines orders are sent with, by whatever way in, none is lost and none is doubled."""

import asyncio
import csv
import io
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import LONG
from sites import Site
from streams import JANE

from innkeeper.actions.bulk import engine
from innkeeper.actions.bulk.guest_state import RecordSource
from innkeeper.actions.events import browsers, ingest
from innkeeper.resources.values import iso
from innkeeper.rules.batch import BatchRecord
from innkeeper.rules.stream import IncomingEvent
from innkeeper.store.database import Database
from innkeeper.store.work import Work
from innkeeper.wire.bulk import batch_files
from innkeeper.wire.bulk.mapping import ColumnMapping

Sending = dict[str, Any]
"""A line: `price`, and `reference`, `time` of its own and `seat` (its extension), or None."""

lines = st.fixed_dictionaries(
    {
        "reference": st.sampled_from([None, "A", "B"]),
        "price": st.sampled_from([1, 2]),
        "time": st.sampled_from([None, "2026-11-21T10:00:00.000Z"]),
        "seat": st.sampled_from([None, 1, 2]),
    }
)
messages = st.lists(st.lists(lines, min_size=1, max_size=4), min_size=1, max_size=3)
numbers = count()
ORDERED_AT = "2026-11-20T10:00:00.000Z"
CONTACT = {"email": "jane@example.com", "identifiers": JANE["identifiers"]}


def whole(order: str, sendings: list[Sending]) -> dict[str, Any]:
    """An order as batches and imports take it."""
    return {
        "referenceId": order,
        "channel": "WEB",
        "pointOfSale": "default",
        "orderedAt": ORDERED_AT,
        "status": "PURCHASED",
        "currencyCode": "EUR",
        "price": 30,
        "paymentType": "Cash",
        "contact": CONTACT,
        "orderItems": [
            {
                **dict.fromkeys(("name", "productId", "description", "vendor"), "x"),
                "type": "PRODUCT",
                "currencyCode": "EUR",
                "price": line["price"],
                **({"referenceId": line["reference"]} if line["reference"] else {}),
                **({"orderedAt": line["time"]} if line["time"] else {}),
                **extension(line),
            }
            for line in sendings
        ],
    }


def extension(line: Sending) -> dict[str, Any]:
    pairs = {"name": "ext", "key": "default", "seat": line["seat"]}
    return {"extensions": [pairs]} if line["seat"] else {}


async def apply(work: Work, source: str, *chunks: list[BatchRecord]) -> None:
    async def keep(counts: Any, _: Any) -> None:
        assert counts.failures == []

    report = RecordSource(source, uuid4())
    for chunk in chunks:
        await engine.apply(work, chunk, report, keep)


async def batch(work: Work, _: UUID, order: str, sendings: list[Sending]) -> None:
    """A record of a batch."""
    envelope = {"schema": "order", "mode": "insert", "value": whole(order, sendings)}
    layout = batch_files.Layout("batch")
    await apply(work, "batch", [layout.entry(1, json.dumps(envelope).encode())])


async def of_json(work: Work, _: UUID, order: str, sendings: list[Sending]) -> None:
    """A line of an NDJSON import."""
    layout = batch_files.Layout("orders")
    await apply(work, "import", [layout.entry(1, json.dumps(whole(order, sendings)).encode())])


async def of_rows(work: Work, _: UUID, order: str, sendings: list[Sending]) -> None:
    """A CSV file of a row a line, two rows a transaction."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("Line", "Price", "Time", "Seat"))
    writer.writerows(
        (line["reference"], line["price"], line["time"], line["seat"]) for line in sendings
    )
    columns = {
        "Line": ("orderItems.referenceId",),
        "Price": ("orderItems.price",),
        "Time": ("orderItems.orderedAt",),
        "Seat": ("orderItems.extensions.seat",),
    }
    head = whole(order, [])
    constants = {name: head[name] for name in head if name not in ("orderItems", "contact")}
    constants |= {"contact.email": "jane@example.com", "contact.identifiers.email": "j@x.example"}
    constants |= {"orderItems.type": "PRODUCT", "orderItems.currencyCode": "EUR"}
    constants |= {
        f"orderItems.{name}": "x" for name in ("name", "productId", "description", "vendor")
    }
    mapping = ColumnMapping(columns, types={"Seat": "number"}, constants=constants)
    layout = batch_files.Layout("orders", "csv", False, mapping)
    stream = io.BytesIO(text.getvalue().encode())
    await apply(work, "import", *[chunk.items for chunk in layout.chunks(stream)])


async def event(work: Work, browser: UUID, type_: str, **message: Any) -> None:
    body = {"type": type_, "browser_id": str(browser), "channel": "WEB", "pos": "default"}
    outcome = await ingest.record(work, IncomingEvent({**body, **message}, datetime.now(UTC)))
    assert outcome is not None
    assert not outcome.quarantined


async def order_checkout(work: Work, browser: UUID, order: str, sendings: list[Sending]) -> None:
    """An ORDER_CHECKOUT event."""
    value = whole(order, sendings)
    await event(work, browser, "ORDER_CHECKOUT", order=value)


async def checkout(work: Work, browser: UUID, order: str, sendings: list[Sending]) -> None:
    """ADD of each line under an item_id of its own, and CHECKOUT; a cart has no extensions."""
    for index, line in enumerate(sendings):
        item = {"item_id": f"i{index}", "type": "PRODUCT", "price": line["price"], "quantity": 1}
        named = {"referenceId": line["reference"]} if line["reference"] else {}
        await event(work, browser, "ADD", product={**item, **named})
    await event(work, browser, "CHECKOUT", reference_id=order, status="PURCHASED")


Writer = Callable[[Work, UUID, str, list[Sending]], Awaitable[None]]
WRITERS: list[Writer] = [batch, of_json, of_rows, order_checkout, checkout]


async def stored(work: Work, order: str) -> list[dict[str, Any]]:
    cursor = await work.connection.execute(
        "SELECT i.ref, i.body, i.ordered_at, i.modified_at, e.pairs, o.modified_at AS of_order "
        "FROM ws_live.orders AS o JOIN ws_live.order_items AS i ON i.order_ref = o.ref "
        "LEFT JOIN ws_live.order_item_extensions AS e ON e.order_item_ref = i.ref "
        "WHERE o.reference_id = %s ORDER BY i.created_at, i.ref",
        [order],
    )
    return await cursor.fetchall()


def key_of_line(writer: Writer, index: int, line: Sending) -> Any:
    """What a line is known by: its referenceId, in a cart the item_id, or else its members."""
    reference = line["reference"] or (f"i{index}" if writer is checkout else None)
    return reference or (line["price"], line["time"] or ORDERED_AT)


def key_of_item(item: dict[str, Any]) -> Any:
    return item["body"].get("reference_id") or (item["body"]["price"], iso(item["ordered_at"]))


@pytest.fixture(scope="module")
def rows_a_chunk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_files, "CHUNK", 2)
        yield


@settings(
    max_examples=300 if LONG else 6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sendings=messages)
@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_f3_counts_of_lines_are_conserved(
    site: Site, rows_a_chunk: None, writer: Writer, sendings: list[list[Sending]]
) -> None:
    """Issue F3, against an oracle of its own: of a key there are as many items as there were, or
    as a message has lines of it, if those are more; each line's extension is on such an item, and
    a message sent again changes nothing at all."""

    async def act() -> None:
        async with (
            Database(site.dsn, pool_size=1, settings=site.settings) as database,
            database.work("live") as work,
        ):
            await check(work, writer, f"F3-{writer.__name__}-{next(numbers)}-{uuid4()}", sendings)

    asyncio.run(act())


async def check(work: Work, writer: Writer, order: str, sendings: list[list[Sending]]) -> None:
    browser, _ = await browsers.create(work)
    await event(work, browser, "IDENTITY", **JANE)
    expected: Counter[Any] = Counter()
    for message in sendings:
        await writer(work, browser, order, message)
        keys = [key_of_line(writer, index, line) for index, line in enumerate(message)]
        expected |= Counter(keys)
        items = await stored(work, order)
        assert Counter(map(key_of_item, items)) == expected
        if writer is not checkout:
            values = [
                (key, line["price"], line["seat"])
                for key, line in zip(keys, message, strict=True)
                if line["seat"]
            ]
            rows = [
                (key_of_item(item), item["body"]["price"], (item["pairs"] or {}).get("seat"))
                for item in items
            ]
            assert Counter(values) <= Counter(rows)
    await writer(work, browser, order, sendings[-1])
    assert await stored(work, order) == items


cart_events = st.lists(
    st.one_of(
        st.tuples(st.just("ADD"), st.sampled_from("abc"), st.sampled_from([1, 2])),
        st.tuples(st.just("CONFIRM"), st.sampled_from("abc"), st.just(0)),
        st.just(("CLEAR_CART", "", 0)),
    ),
    min_size=1,
    max_size=5,
)


@settings(
    max_examples=400 if LONG else 8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(happened=cart_events, chance=st.randoms(use_true_random=False))
def test_f16_an_order_does_not_depend_on_the_order_of_arrival(
    site: Site, happened: list[tuple[str, str, int]], chance: random.Random
) -> None:
    """stream-api.md 5, against a cart kept by hand: what a CHECKOUT buys is what happened before it
    by time, whether it arrived before or after."""
    cart: dict[str, int] = {}
    confirmed: str | None = None
    for type_, item, price in happened:
        if type_ == "ADD":
            cart[item] = price
        elif type_ == "CONFIRM":
            confirmed = item
        else:
            cart, confirmed = {}, None
    bought = {k: v for k, v in cart.items() if confirmed in (None, k)}

    async def act() -> None:
        async with (
            Database(site.dsn, pool_size=1, settings=site.settings) as database,
            database.work("live") as work,
        ):
            reference = f"F16-{next(numbers)}-{uuid4()}"
            await arrive(work, reference, happened, chance)
            items = await stored(work, reference)
            rows = [(one["body"]["reference_id"], one["body"]["price"]) for one in items]
            assert sorted(rows) == sorted(bought.items())
            row = await work.connection.execute(
                "SELECT body -> 'price' AS price FROM ws_live.orders WHERE reference_id = %s",
                [reference],
            )
            assert await row.fetchall() == [{"price": sum(bought.values())}]

    asyncio.run(act())


async def arrive(
    work: Work, reference: str, happened: list[tuple[str, str, int]], chance: random.Random
) -> None:
    """Send cart events of some minutes and their CHECKOUT, in any order."""
    browser, _ = await browsers.create(work)
    messages: list[tuple[str, dict[str, Any]]] = []
    for type_, item, price in happened:
        product: Any = {"item_id": item, "type": "PRODUCT", "price": price, "quantity": 1}
        product = [{"item_id": item}] if type_ == "CONFIRM" else product
        messages.append((type_, {"product": product} if item else {}))
    messages.append(("CHECKOUT", {"reference_id": reference, "status": "PURCHASED"}))
    begin = datetime.now(UTC) - timedelta(hours=2)
    order_of_messages = list(range(len(messages)))
    chance.shuffle(order_of_messages)
    for index in order_of_messages:
        type_, members = messages[index]
        at = (begin + timedelta(minutes=index)).isoformat()
        await event(work, browser, type_, requested_at=at, **members)
