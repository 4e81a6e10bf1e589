"""Events of one browser that wait at the same time are written by one statement, and are what
they would be one by one (stream-api.md 4 and 5)."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from innkeeper.actions.events import browsers, ingest
from innkeeper.rules.stream import IncomingEvent
from innkeeper.store.work import Row, Work

pytestmark = pytest.mark.anyio

BASE = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)


def sent(browser: UUID, second: int, type_: str = "VIEW", **more: Any) -> IncomingEvent:
    at = BASE + timedelta(seconds=second)
    told = {"channel": "WEB", "pos": "default", "requested_at": at.isoformat(), **more}
    message = {"browser_id": str(browser), "type": type_, "page": f"page {second}", **told}
    return IncomingEvent(message, at + timedelta(milliseconds=500))


async def stored(work: Work, browser: UUID) -> tuple[list[Row], list[Row]]:
    """Events by arrival and sessions by start, without what is new each time."""
    events = await work.connection.execute(
        "SELECT at, number, type, channel, point_of_sale, reach, cuts, body, received_at,"
        " guest_ref = (SELECT guest_ref FROM ws_live.browsers WHERE ref = browser_ref) AS own"
        " FROM ws_live.events WHERE browser_ref = %s ORDER BY received_at",
        [browser],
    )
    sessions = await work.connection.execute(
        "SELECT version, channel, started_at, last_at, expires_at, cut_at, events, about, cart"
        " FROM ws_live.sessions WHERE browser_ref = %s ORDER BY started_at",
        [browser],
    )
    return await events.fetchall(), await sessions.fetchall()


async def one_by_one(work: Work, several: list[IncomingEvent]) -> None:
    for one in several:
        assert await ingest.record(work, one) is not None


async def test_together_is_what_one_by_one_is(work: Work) -> None:
    alone, guest = await browsers.create(work)
    together, other = await browsers.create(work)
    first, *rest = [
        (second, {"currency": "EUR"} if second else {"referrer": "a"}) for second in range(6)
    ]
    await one_by_one(work, [sent(alone, second, **more) for second, more in (first, *rest)])
    await one_by_one(work, [sent(together, first[0], **first[1])])
    events = [sent(together, second, **more) for second, more in rest]
    taken = await ingest.record_batch(work, events)
    assert [one and one.guest for one in taken] == [other] * 5
    assert len({one.ref for one in taken if one}) == 5
    assert await stored(work, together) == await stored(work, alone)
    # And the next one knows of them.
    for browser, whose in ((alone, guest), (together, other)):
        last = await ingest.record(work, sent(browser, 9))
        assert last is not None
        assert last.guest == whose
    assert await stored(work, together) == await stored(work, alone)


@pytest.mark.parametrize(
    "odd",
    [
        ("IDENTITY", {"email": "jane@example.com"}),
        ("VIEW", {"channel": "MOBILE_APP"}),
        ("VIEW", {"pos": "nowhere"}),
        ("VIEW", {"ext": {"bad": None}}),
        ("VIEW", {"requested_at": (BASE - timedelta(hours=1)).isoformat()}),
        ("VIEW", {"type": " "}),
    ],
)
async def test_what_is_not_plain_is_left_to_be_recorded_alone(
    work: Work, odd: tuple[str, dict[str, Any]]
) -> None:
    browser, _ = await browsers.create(work)
    await one_by_one(work, [sent(browser, 0)])
    other = sent(browser, 3, odd[0], **odd[1])
    events = [sent(browser, 1), sent(browser, 2), other, sent(browser, 4)]
    taken = await ingest.record_batch(work, events)
    assert [one is None for one in taken] == [False, False, True, True]
    assert len((await stored(work, browser))[0]) == 3


async def test_out_of_date_is_left_to_be_recorded_alone(work: Work) -> None:
    """Another process wrote of the browser, or the configuration is another: nothing is written."""
    browser, _ = await browsers.create(work)
    await one_by_one(work, [sent(browser, 0)])
    await work.connection.execute(
        "UPDATE ws_live.sessions SET version = version + 1 WHERE browser_ref = %s", [browser]
    )
    events = [sent(browser, second) for second in (1, 2, 3)]
    assert await ingest.record_batch(work, events) == [None] * 3
    assert len((await stored(work, browser))[0]) == 1
    await one_by_one(work, events[:1])
    await work.connection.execute("UPDATE ws_live.stream_settings SET version = gen_random_uuid()")
    assert await ingest.record_batch(work, events[1:]) == [None] * 2
    await one_by_one(work, events[1:])
    ((session,),) = [(await stored(work, browser))[1]]
    assert session["events"] == 4


async def test_any_cut_of_a_row_of_events(work: Work) -> None:
    """Groups of any size, some with carts: the same sessions as one by one."""
    chance = random.Random(7)
    alone, _ = await browsers.create(work)
    together, _ = await browsers.create(work)
    row: list[tuple[int, str, dict[str, Any]]] = []
    second = 0
    for _ in range(40):
        second += chance.choice([0, 5, 5, 5, 300, 2000])
        row.append((second, *chance.choice([("VIEW", {}), ("VIEW", {}), ("CLEAR_CART", {})])))
    await one_by_one(work, [sent(alone, at, type_, **more) for at, type_, more in row])
    left = [sent(together, at, type_, **more) for at, type_, more in row]
    while left:
        group = left[: chance.randint(1, 9)]
        taken = await ingest.record_batch(work, group)
        done = sum(one is not None for one in taken)
        if not done:
            await one_by_one(work, left[:1])
        left = left[done or 1 :]
    assert [session["events"] for session in (await stored(work, together))[1]] == [
        session["events"] for session in (await stored(work, alone))[1]
    ]
    mine, theirs = await stored(work, together), await stored(work, alone)
    assert [event["body"] for event in mine[0]] == [event["body"] for event in theirs[0]]
