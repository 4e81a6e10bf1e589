"""Events written without reading their browser first: what others do meanwhile still counts
(stream-api.md 5)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from waiting import wait_until_blocked

from innkeeper.actions.events import browsers, ingest
from innkeeper.rules.stream import IncomingEvent
from innkeeper.store.database import Database
from innkeeper.store.work import Work

BASE = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)


async def view(work: Work, browser: UUID, minute: int, channel: str = "WEB") -> UUID:
    """A page view at a minute, by a process that remembers nothing; its guest."""
    browsers._cache.clear()
    at = BASE + timedelta(minutes=minute)
    payload = {"channel": channel, "pos": "default", "requested_at": at.isoformat()}
    request = IncomingEvent(
        {"browser_id": str(browser), "type": "VIEW", **payload}, at + timedelta(seconds=1)
    )
    outcome = await ingest.record(work, request)
    assert outcome is not None
    return outcome.guest


async def sessions(work: Work, browser: UUID) -> list[list[int]]:
    """The minutes of each session's events, as events and as the session itself tell them."""
    cursor = await work.connection.execute(
        "SELECT s.started_at, s.last_at, s.events, array_agg(e.at ORDER BY e.at) AS at "
        "FROM ws_live.sessions AS s JOIN ws_live.events AS e ON e.session_ref = s.ref "
        "WHERE s.browser_ref = %s GROUP BY s.ref ORDER BY s.started_at",
        [browser],
    )
    rows: list[dict[str, Any]] = await cursor.fetchall()
    for row in rows:
        spans = (row["at"][0], row["at"][-1], len(row["at"]))
        assert (row["started_at"], row["last_at"], row["events"]) == spans
    return [[(at - BASE) // timedelta(minutes=1) for at in row["at"]] for row in rows]


async def test_a_session_begins_goes_on_and_ends(work: Work) -> None:
    """Timeout of 20 minutes; the guest is told whether the browser was read or not."""
    browser, guest = await browsers.create(work)
    for minute in (0, 10, 30, 51):
        assert await view(work, browser, minute) == guest
    assert await sessions(work, browser) == [[0, 10, 30], [51]]


async def test_another_channel_and_a_late_event(work: Work) -> None:
    browser, _ = await browsers.create(work)
    await view(work, browser, 60)
    await view(work, browser, 61, "MOBILE_APP")
    await view(work, browser, 5)
    await view(work, browser, 41)
    assert await sessions(work, browser) == [[5], [41, 60], [61]]


@pytest.mark.parametrize("minutes", [(0, 0), (0, 19), (19, 0)])
async def test_two_events_that_would_both_begin(
    database: Database, work: Work, dsn: str, minutes: tuple[int, int]
) -> None:
    """The second waits for the first, and then goes on with its session."""
    browser, _ = await browsers.create(work)
    async with database.work("live") as other:
        async with work.transaction():
            await view(work, browser, minutes[0])
            second = asyncio.create_task(view(other, browser, minutes[1]))
            await wait_until_blocked(dsn)
            assert not second.done()
        await second
    assert await sessions(work, browser) == [sorted(minutes)]


async def test_one_begins_while_the_one_before_grows_up_to_it(
    database: Database, work: Work, dsn: str
) -> None:
    """At 0 a session; a late event at 15 is being written while one at 30 comes."""
    browser, _ = await browsers.create(work)
    await view(work, browser, 0)
    async with database.work("live") as other:
        async with work.transaction():
            await view(work, browser, 15)
            second = asyncio.create_task(view(other, browser, 30))
            await wait_until_blocked(dsn)
            assert not second.done()
        await second
    assert await sessions(work, browser) == [[0, 15, 30]]


async def test_another_person_comes_meanwhile(database: Database, work: Work, dsn: str) -> None:
    """Whose browser it is, is found by the statement that writes."""
    browser, _ = await browsers.create(work)
    _, other_guest = await browsers.create(work)
    async with database.work("live") as other:
        async with work.transaction():
            await work.run("browsers.relink", ref=browser, guest=other_guest)
            second = asyncio.create_task(view(other, browser, 0))
            await wait_until_blocked(dsn)
            assert not second.done()
        assert await second == other_guest
