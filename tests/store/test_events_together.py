"""Events of one browser that wait at the same time are written by one statement, and are what
they would be one by one (stream-api.md 4 and 5)."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from innkeeper.actions.events import browsers, ingest
from innkeeper.rules.stream import IncomingEvent
from innkeeper.store.database import Database
from innkeeper.store.work import Row, Work

BASE = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)


def view_event(browser: UUID, second: int, type_: str = "VIEW", **more: Any) -> IncomingEvent:
    at = BASE + timedelta(seconds=second)
    payload = {"channel": "WEB", "pos": "default", "requested_at": at.isoformat(), **more}
    message = {"browser_id": str(browser), "type": type_, "page": f"page {second}", **payload}
    return IncomingEvent(message, at + timedelta(milliseconds=500))


async def stored(work: Work, browser: UUID) -> tuple[list[Row], list[Row]]:
    """Events by arrival and sessions by start, without what is new each time."""
    events = await work.connection.execute(
        "SELECT at, number, type, channel, point_of_sale, timeout_seconds, ends_session, body,"
        " received_at,"
        " guest_ref = (SELECT guest_ref FROM ws_live.browsers WHERE ref = browser_ref) AS own"
        " FROM ws_live.events WHERE browser_ref = %s ORDER BY received_at",
        [browser],
    )
    sessions = await work.connection.execute(
        "SELECT version, channel, started_at, last_at, expires_at, ended_at, events, details, cart"
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
    await one_by_one(work, [view_event(alone, second, **more) for second, more in (first, *rest)])
    await one_by_one(work, [view_event(together, first[0], **first[1])])
    events = [view_event(together, second, **more) for second, more in rest]
    outcome = await ingest.record_batch(work, events)
    assert [one and one.guest for one in outcome] == [other] * 5
    assert len({one.ref for one in outcome if one}) == 5
    assert await stored(work, together) == await stored(work, alone)
    # And the next one knows of them.
    for browser, whose in ((alone, guest), (together, other)):
        last = await ingest.record(work, view_event(browser, 9))
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
    await one_by_one(work, [view_event(browser, 0)])
    other = view_event(browser, 3, odd[0], **odd[1])
    events = [view_event(browser, 1), view_event(browser, 2), other, view_event(browser, 4)]
    outcome = await ingest.record_batch(work, events)
    assert [one is None for one in outcome] == [False, False, True, True]
    assert len((await stored(work, browser))[0]) == 3


async def test_out_of_date_is_left_to_be_recorded_alone(work: Work) -> None:
    """Another process wrote of the browser, or the configuration is another: nothing is written."""
    browser, _ = await browsers.create(work)
    await one_by_one(work, [view_event(browser, 0)])
    await work.connection.execute(
        "UPDATE ws_live.sessions SET version = version + 1 WHERE browser_ref = %s", [browser]
    )
    events = [view_event(browser, second) for second in (1, 2, 3)]
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
    await one_by_one(work, [view_event(alone, at, type_, **more) for at, type_, more in row])
    left = [view_event(together, at, type_, **more) for at, type_, more in row]
    while left:
        group = left[: chance.randint(1, 9)]
        outcome = await ingest.record_batch(work, group)
        done = sum(one is not None for one in outcome)
        if not done:
            await one_by_one(work, left[:1])
        left = left[done or 1 :]
    assert [session["events"] for session in (await stored(work, together))[1]] == [
        session["events"] for session in (await stored(work, alone))[1]
    ]
    mine, theirs = await stored(work, together), await stored(work, alone)
    assert [event["body"] for event in mine[0]] == [event["body"] for event in theirs[0]]


async def test_events_of_different_browsers_together_are_what_they_are_alone(work: Work) -> None:
    """P1: groups of any size, with starts, late events, carts and events that are not plain."""
    chance = random.Random(11)
    pairs = [(await browsers.create(work), await browsers.create(work)) for _ in range(4)]
    seconds = [0] * len(pairs)
    row: list[tuple[int, int, str, dict[str, Any]]] = []
    for _ in range(60):
        which = chance.randrange(len(pairs))
        seconds[which] += chance.choice([-4000, 5, 5, 5, 300, 2000])
        kind = chance.choice([("VIEW", {})] * 6 + [("CLEAR_CART", {}), ("VIEW", {"pos": "?"})])
        row.append((which, seconds[which], *kind))
    for which, at, type_, more in row:
        await ingest.record(work, view_event(pairs[which][0][0], at, type_, **more))
    batched = 0
    while row:
        size = chance.randrange(1, 12)
        group = [
            view_event(pairs[which][1][0], at, type_, **more)
            for which, at, type_, more in row[:size]
        ]
        del row[:size]
        outcome = await ingest.record_batch(work, group)
        left = [event for event, one in zip(group, outcome, strict=True) if one is None]
        batched += len(group) - len(left)
        guest_of = {str(browser): guest for _, (browser, guest) in pairs}
        for event, one in zip(group, outcome, strict=True):
            assert one is None or one.guest == guest_of[str(event.message["browser_id"])]
        for event in left:
            await ingest.record(work, event)
    assert batched > 15
    for alone, together in pairs:
        (events, sessions), (expected, others) = [
            await stored(work, browser) for browser, _ in (together, alone)
        ]
        assert events == expected
        # A session's version also counts events of its neighbours, which need not be read.
        assert [{**row, "version": None} for row in sessions] == [
            {**row, "version": None} for row in others
        ]


async def test_an_event_that_is_left_alone_keeps_its_place(work: Work) -> None:
    """P1: what its sender gets as an error takes later events of its browser along; those of others
    are written."""
    one, _ = await browsers.create(work)
    other, guest = await browsers.create(work)
    bad = view_event(one, 1, type="")
    events = [
        view_event(one, 0),
        bad,
        view_event(other, 0),
        view_event(one, 2),
        view_event(other, 1),
        view_event(UUID(int=9), 1),
    ]
    outcome = await ingest.record_batch(work, events)
    assert [ingested is not None for ingested in outcome] == [True, False, True, False, True, False]
    assert [ingested.guest for ingested in (outcome[2], outcome[4]) if ingested] == [guest, guest]
    assert len((await stored(work, one))[0]) == 1


async def test_the_state_of_one_browser_is_out_of_date(work: Work) -> None:
    """P1: another process wrote of one of them: only its events are left alone."""
    several = [(await browsers.create(work))[0] for _ in range(3)]
    await one_by_one(work, [view_event(browser, 0) for browser in several])
    await work.connection.execute(
        "UPDATE ws_live.sessions SET version = version + 1 WHERE browser_ref = %s", [several[1]]
    )
    outcome = await ingest.record_batch(work, [view_event(browser, 1) for browser in several])
    assert [one is not None for one in outcome] == [True, False, True]
    assert [len((await stored(work, browser))[0]) for browser in several] == [2, 1, 2]


async def test_a_session_that_another_has_locked_is_left_alone(
    work: Work, database: Database
) -> None:
    """P1: a batch waits for no lock, and so takes part in no deadlock."""
    several = [(await browsers.create(work))[0] for _ in range(3)]
    await one_by_one(work, [view_event(browser, 0) for browser in several[:2]])
    async with database.work("live") as other, other.transaction():
        for browser in (several[0], several[2]):
            assert await browsers.lock(other, browser, None, datetime.now(UTC), timedelta())
            await other.connection.execute(
                "SELECT FROM ws_live.sessions WHERE browser_ref = %s FOR UPDATE", [browser]
            )
        outcome = await ingest.record_batch(work, [view_event(browser, 1) for browser in several])
    assert [one is not None for one in outcome] == [False, True, False]
