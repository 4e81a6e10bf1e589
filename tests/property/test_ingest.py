"""However concurrent clients interleave, no event is lost, doubled or put beside its session."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from happenings import TIMEOUTS, live, reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import LONG
from streams import JANE, product

from innkeeper.actions.events import browsers, ingest, sessions
from innkeeper.errors import Unavailable
from innkeeper.rules.stream import IncomingEvent
from innkeeper.store.database import Database, retrying

__all__ = ["live"]

CLIENTS = 32

Act = Callable[[Database, UUID, datetime], Awaitable[list[tuple[UUID, Any]]]]


def run(dsn: str, act: Act) -> tuple[list[tuple[UUID, Any]], list[dict[str, Any]]]:
    """What clients were told of one browser, and the rows of its events with their sessions."""

    async def all_of_it() -> tuple[list[tuple[UUID, Any]], list[dict[str, Any]]]:
        # Straight at the store: the door's turns, which spare conflicts, are left out.
        async with Database(dsn, pool_size=12) as database:
            async with database.work("live") as work:
                browser, _ = await browsers.create(work)
            base = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)
            result = await act(database, browser, base)
            async with database.work("live") as work:
                await sessions.close_idle(work)
                cursor = await work.connection.execute(
                    "SELECT e.ref, e.session_ref, e.at, e.type, s.ref AS known, s.events, "
                    "s.started_at, s.last_at FROM ws_live.events AS e "
                    "LEFT JOIN ws_live.sessions AS s ON s.ref = e.session_ref "
                    "WHERE e.browser_ref = %s",
                    [browser],
                )
                return result, await cursor.fetchall()

    return asyncio.run(all_of_it())


async def send(database: Database, browser: UUID, at: datetime, **message: Any) -> UUID:
    """One event, as the door records it; now and then as another process would, which
    remembers nothing, and now and then without its channel, which has to be read then."""
    if random.random() < 0.3:
        browsers._cache.clear()
    if random.random() < 0.7:
        message.setdefault("channel", "WEB")
    payload = IncomingEvent(
        {"browser_id": str(browser), "requested_at": at.isoformat(), **message},
        at + timedelta(minutes=1),
    )

    async def once() -> UUID:
        async with database.work("live") as work:
            outcome = await ingest.record(work, payload)
        assert outcome is not None
        return outcome.ref

    while True:
        try:
            return await retrying(once)
        except Unavailable:
            # 503, as when a loaded machine lends no connection in time: clients send it again.
            continue


def check(message: list[tuple[UUID, Any]], rows: list[dict[str, Any]]) -> None:
    """Every acknowledged event is there once, and its session tells of it."""
    assert Counter(ref for ref, _ in message) == Counter(row["ref"] for row in rows)
    times: dict[UUID, list[datetime]] = {}
    for row in rows:
        assert row["known"] is not None
        times.setdefault(row["session_ref"], []).append(row["at"])
    for row in rows:
        mine = times[row["session_ref"]]
        assert row["events"] == len(mine)
        assert (row["started_at"], row["last_at"]) == (min(mine), max(mine))


@pytest.mark.long
@settings(
    max_examples=40 if LONG else 1,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.randoms(use_true_random=False), st.sampled_from((60, 600)))
def test_views_of_one_browser(live: str, chance: random.Random, minutes: int) -> None:
    """32 clients, each with its row of views at times of its own: the sessions are those of the
    reference, in whatever order they came."""
    seconds = chance.sample(range(minutes * 60), CLIENTS * 4)
    events = [(second, chance.choice(TIMEOUTS), chance.random() < 0.03) for second in seconds]

    async def act(database: Database, browser: UUID, base: datetime) -> list[tuple[UUID, Any]]:
        async def client(rows: list[tuple[int, int, bool]]) -> list[tuple[UUID, Any]]:
            messages = []
            for second, timeout, cuts in rows:
                type_ = "FORCE_CLOSE" if cuts else "VIEW"
                at = base + timedelta(seconds=second)
                ref = await send(database, browser, at, type=type_, pos=str(timeout))
                messages.append((ref, second))
            return messages

        answers = await asyncio.gather(
            *(client(events[number::CLIENTS]) for number in range(CLIENTS))
        )
        return [one for answer in answers for one in answer]

    messages, rows = run(live, act)
    check(messages, rows)
    numbers = {second: index for index, (second, _, _) in enumerate(events)}
    number_of = {ref: numbers[second] for ref, second in messages}
    groups: dict[UUID, set[int]] = {}
    for row in rows:
        groups.setdefault(row["session_ref"], set()).add(number_of[row["ref"]])
    in_seconds = [(second, timeout * 60, cuts) for second, timeout, cuts in events]
    assert {frozenset(group) for group in groups.values()} == reference(in_seconds)


KINDS: list[dict[str, Any]] = [
    {"type": "VIEW"},
    {"type": "ADD", "product": product("1", 2)},
    {"type": "ADD", "product": product("2", 3)},
    {"type": "CLEAR_CART"},
    {"type": "IDENTITY", **JANE},
    {"type": "IDENTITY", "identifiers": [{"provider": "email", "id": "jim@example.com"}]},
    {"type": "CHECKOUT", "reference_id": "B-1", "status": "PURCHASED", "currency": "EUR"},
    {"type": "CHECKOUT", "reference_id": "B-2", "status": "PURCHASED", "currency": "EUR"},
    {"type": "VIEW", "ext": {"bad": None}},
    {"type": "VIEW", "channel": "KIOSK"},
]


@pytest.mark.parametrize("seed", range(20 if LONG else 1))
def test_everything_of_one_browser(live: str, seed: int) -> None:
    """Persons that change, carts, orders and views at once, late ones among them."""
    chance = random.Random(seed)

    async def act(database: Database, browser: UUID, base: datetime) -> list[tuple[UUID, Any]]:
        async def client() -> list[tuple[UUID, Any]]:
            messages = []
            for _ in range(5):
                kind = chance.choices(KINDS, weights=[9, 2, 2, 1, 1, 1, 1, 1, 2, 2])[0]
                at = base + timedelta(seconds=chance.randrange(3600))
                ref = await send(database, browser, at, pos="5", **kind)
                messages.append((ref, kind))
            return messages

        answers = await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return [one for answer in answers for one in answer]

    check(*run(live, act))
