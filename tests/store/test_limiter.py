"""S3: nothing holds a connection of the pool while it waits for something slow."""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from waiting import wait_until

from innkeeper.actions.audiences import reports
from innkeeper.errors import Unavailable
from innkeeper.lake.locks import alone
from innkeeper.lake.snapshot import opened
from innkeeper.rules.report_parameters import read_parameters
from innkeeper.store.database import Database
from innkeeper.store.limiter import Limiter

POOL = 4
PARAMETERS = read_parameters({"interval": "day"})


@pytest.fixture
async def small(dsn: str):
    """A database with a pool of four connections, as a server has it."""
    async with Database(dsn, pool_size=POOL, question_wait_seconds=20) as opened:
        yield opened


async def every_connection(database: Database) -> int:
    """How many connections can be had at once; none is waited for longer than the pool does."""
    lent = [database.work("live") for _ in range(POOL)]
    works = [await each.__aenter__() for each in lent]
    for work in works:
        assert await work.one("health.ping") is not None
    for each in lent:
        await each.__aexit__()
    return len(works)


async def test_s3_questions_wait_for_their_turn_without_a_connection(small: Database) -> None:
    """Nine slow questions answered 503 to everybody; eight wait here and all four are free."""
    slots = small.limits.questions

    async def ask() -> list:
        async with small.work("live") as work:
            return (await reports.run(work, "revenue", PARAMETERS))["rows"]

    async with slots, slots:
        asking = [asyncio.create_task(ask()) for _ in range(8)]
        await wait_until("the queue to fill", lambda: slots.queued == 8)
        assert await every_connection(small) == POOL
    assert await asyncio.gather(*asking) == [[]] * 8
    assert (slots.free, slots.queued) == (2, 0)


async def test_s3_a_full_queue_of_questions_is_503_with_a_time_to_come_back(
    small: Database,
) -> None:
    slots = small.limits.questions

    async def ask() -> None:
        async with small.work("live") as work:
            await reports.run(work, "revenue", PARAMETERS)

    async with slots, slots:
        asking = [asyncio.create_task(ask()) for _ in range(16)]
        await wait_until("the queue to fill", lambda: slots.queued == 16)
        with pytest.raises(Unavailable) as refused:
            await ask()
        assert refused.value.status == 503
        assert refused.value.headers["Retry-After"] == "5"
        assert await every_connection(small) == POOL
    await asyncio.gather(*asking)


async def test_s3_questions_never_take_all_of_a_pool(dsn: str) -> None:
    """They keep their connection while they run, so there are fewer of them than connections."""
    free = {size: Database(dsn, pool_size=size).limits.questions.free for size in (1, 2, 4, 8, 64)}
    assert free == {1: 1, 2: 1, 4: 2, 8: 2, 64: 2}


async def test_s3_a_question_that_runs_holds_no_connection_of_the_pool(small: Database) -> None:
    """S3: as many questions as may run at once, and all of the pool is free."""
    async with AsyncExitStack() as stack:
        for _ in range(2):
            work = await stack.enter_async_context(small.work("live"))
            await stack.enter_async_context(opened(work))
            assert await work.one("health.ping") is not None
        assert small.limits.questions.free == 0
        assert await every_connection(small) == POOL
    # Inside a transaction it stays with that one's snapshot.
    async with small.work("live") as work, work.transaction():
        mine = work.connection
        async with opened(work):
            assert work.connection is mine


async def test_s3_a_released_connection_is_anothers_and_another_comes_back(small: Database) -> None:
    async with small.work("live") as work:
        mine = work.connection
        async with work.released():
            with pytest.raises(RuntimeError, match="no connection"):
                await work.one("health.ping")
            assert await every_connection(small) == POOL
        assert await work.one("health.ping") is not None
        # What has begun keeps its connection.
        mine = work.connection
        async with work.transaction(), work.released():
            assert work.connection is mine
        async with alone(work, f"test {uuid4()}"), work.released():
            assert work.connection is mine
        with pytest.raises(ValueError, match="slow"):
            async with work.released():
                raise ValueError("slow things fail")
        assert await work.one("health.ping") is not None


async def test_s3_slots_are_handed_on_in_order_and_lost_by_nobody() -> None:
    slots, order = Limiter("tests", 1, 3), []

    async def take(name: str) -> None:
        async with slots:
            order.append(name)

    await slots.acquire()
    first, task, last = (asyncio.create_task(take(name)) for name in ("first", "gone", "last"))
    await wait_until("the queue to fill", lambda: slots.queued == 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert slots.queued == 2
    slots.release()
    # Granted and given up at the same moment: the next one has it.
    first.cancel()
    await asyncio.gather(first, last, return_exceptions=True)
    assert order == ["last"]
    assert (slots.free, slots.queued) == (1, 0)


async def test_s3_who_waited_too_long_is_refused_and_leaves_the_queue() -> None:
    slots = Limiter("tests", 1, 3, wait_seconds=0.05)
    async with slots:
        with pytest.raises(Unavailable, match="Too many tests at once"):
            await slots.acquire()
        assert slots.queued == 0
    assert slots.free == 1
