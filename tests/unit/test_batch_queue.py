"""BatchQueue: calls that wait share a batch, each with its own outcome, in the order of its key."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from innkeeper.errors import BadRequest, Unavailable
from innkeeper.store import batching
from innkeeper.store.batching import ALONE, PASSING_MAX, Alone, BatchQueue, BatchQueues
from innkeeper.store.driver_errors import Contended


class Numbers:
    """Runs numbers: negative ones fail, odd ones run alone; records what ran, and when."""

    def __init__(self) -> None:
        self.ran: list[list[int]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        self.queue = BatchQueue[int, str]("test", self.batch)

    async def batch(self, numbers: Sequence[int]) -> list[str | Alone]:
        if self.error is not None:
            raise self.error
        if min(numbers) < 0:
            raise BadRequest("negative")
        self.ran.append([number for number in numbers if number % 2 == 0])
        return [ALONE if number % 2 else f"{number} of {len(numbers)}" for number in numbers]

    async def alone(self, number: int) -> str:
        if not self.ran:
            self.ran.append([number])
            await self.gate.wait()
        else:
            await asyncio.sleep(0)
            self.ran.append([number])
        if number < 0:
            raise BadRequest("negative")
        return f"{number} alone"

    def call(self, number: int, key: object = None, **more: bool) -> asyncio.Task[str]:
        run = self.queue.run(number, lambda: self.alone(number), key, **more)
        return asyncio.ensure_future(run)

    async def after_first(self, *numbers: int, key: object = None) -> list[str | BaseException]:
        """Call the numbers while a first call, 0, runs; return their outcomes."""
        first = self.call(0)
        await asyncio.sleep(0)
        return await self.opened([self.call(number, key) for number in numbers], first)

    async def opened(
        self, calls: Iterable[asyncio.Task[str]], first: asyncio.Task[str]
    ) -> list[str | BaseException]:
        await asyncio.sleep(0)
        self.gate.set()
        assert await first == "0 alone"
        return await asyncio.gather(*calls, return_exceptions=True)


async def test_calls_that_waited_run_as_a_batch() -> None:
    numbers = Numbers()
    assert await numbers.after_first(2, 4, 6) == ["2 of 3", "4 of 3", "6 of 3"]
    assert numbers.ran == [[0], [2, 4, 6]]


async def test_many_calls_run_in_two_halves() -> None:
    """So that the database and this process work at the same time; 8 or fewer stay together."""
    numbers = Numbers()
    await numbers.after_first(*range(2, 42, 2))
    # One ran before, and 20 waited: half of 21, rounded up, then the others.
    assert [len(batch) for batch in numbers.ran] == [1, 11, 9]
    numbers = Numbers()
    await numbers.after_first(*range(2, 18, 2))
    assert [len(batch) for batch in numbers.ran] == [1, 8]


async def test_a_lone_call_runs_at_once_without_a_batch() -> None:
    numbers = Numbers()
    numbers.gate.set()
    assert await numbers.call(2) == "2 alone"
    assert await numbers.after_first(4) == ["4 alone"]


async def test_a_batch_that_fails_is_retried_one_by_one() -> None:
    numbers = Numbers()
    two, failed, four = await numbers.after_first(2, -2, 4)
    assert (two, four) == ("2 alone", "4 alone")
    assert isinstance(failed, BadRequest)
    numbers.error = Contended()
    assert await numbers.after_first(2, 4) == ["2 alone", "4 alone"]


async def test_without_the_database_nothing_runs_again() -> None:
    numbers = Numbers()
    numbers.error = Unavailable()
    outcomes = await numbers.after_first(2, 4)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 2
    assert numbers.ran == [[0]]


async def test_calls_of_a_key_keep_their_order() -> None:
    numbers = Numbers()
    await numbers.after_first(2, 1, 3, 4, 6, key="x")
    # A call that runs alone is waited for by those of its key; what ran before is not repeated.
    flat = [number for batch in numbers.ran for number in batch]
    assert flat.index(1) < flat.index(3)
    numbers = Numbers()
    outcomes = await numbers.after_first(-2, -4, key="x")
    assert [type(outcome) for outcome in outcomes] == [BadRequest] * 2
    assert numbers.ran == [[0], [-2], [-4]]


async def test_a_slow_call_is_waited_for_by_its_key_alone() -> None:
    numbers = Numbers()
    slow = numbers.call(0, "x", is_slow=True)
    await asyncio.sleep(0)
    same = numbers.call(2, "x")
    assert await numbers.call(4, "y") == "4 alone"
    assert not same.done()
    assert await numbers.opened([same], slow) == ["2 alone"]
    assert numbers.ran == [[0], [4], [2]]


async def test_a_cancelled_call_harms_no_other() -> None:
    numbers = Numbers()
    first, *others = (numbers.call(number, number) for number in (0, 2, 4, 6))
    await asyncio.sleep(0)
    others[1].cancel()
    two, four, six = await numbers.opened(others, first)
    assert (two, six) == ("2 of 2", "6 of 2")
    assert isinstance(four, asyncio.CancelledError)
    assert numbers.ran == [[0], [2, 6]]


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_the_others_run_when_the_one_in_front_is_cancelled(cancelled: int) -> None:
    """Cancelled while it runs, and at the moment at which its turn came."""
    numbers = Numbers()
    calls = [numbers.call(number, "x") for number in (0, 2, 4)]
    await asyncio.sleep(0)
    if cancelled == 0:
        calls[0].cancel()
    else:
        numbers.gate.set()
        numbers.error = BadRequest("")
        while numbers.queue.must_wait():
            await asyncio.sleep(0)
        calls[1].cancel()
    numbers.gate.set()
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in outcomes].index(True) == cancelled
    assert isinstance(outcomes[2], str)
    assert not numbers.queue.must_wait()


async def test_calls_are_refused_when_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "QUEUED_MAX", 2)
    two, four, refused = await Numbers().after_first(2, 4, 6)
    assert (two, four) == ("2 of 2", "4 of 2")
    assert isinstance(refused, Unavailable)
    assert refused.headers["Retry-After"] == "1"


async def test_a_stalled_call_does_not_hold_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "STALLED_SECONDS", -1.0)
    numbers = Numbers()
    first = numbers.call(0)
    await asyncio.sleep(0)
    assert await numbers.call(2) == "2 alone"
    assert not first.done()
    assert await numbers.opened([], first) == []


async def test_who_waits_already_passes_a_stalled_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else has to come: calls that were there before it stalled are started too."""
    monkeypatch.setattr(batching, "STALLED_SECONDS", 0.001)
    numbers = Numbers()
    first = numbers.call(0)
    await asyncio.sleep(0)
    waiting = [numbers.call(number) for number in (2, 4)]
    assert await asyncio.gather(*waiting) == ["2 of 2", "4 of 2"]
    assert not first.done()
    assert await numbers.opened([], first) == []


async def test_idle_queues_of_equal_calls_are_removed() -> None:
    queues, gate = BatchQueues(), asyncio.Event()

    def queue(key: object) -> BatchQueue[None, bool]:
        return queues.get("test", key, Numbers().batch, is_passing=True)

    busy = queue("busy")
    running = asyncio.ensure_future(busy.run(None, gate.wait))
    await asyncio.sleep(0)
    for key in range(3 * PASSING_MAX):
        queue(key)
    assert len(list(queues)) <= PASSING_MAX
    assert queue("busy") is busy
    gate.set()
    assert await running
