"""KeyedBatches: in order by key, as a batch after a wait, each item with its own outcome."""

import asyncio
from collections.abc import Sequence

import pytest

from innkeeper.web.batching import KeyedBatches

pytestmark = pytest.mark.anyio


class Counter:
    """Runs numbers: odd ones alone, negative ones fail; records which ran together."""

    def __init__(self) -> None:
        self.ran: list[list[int]] = []
        self.busy = 0
        self.gate = asyncio.Event()
        self.batches = KeyedBatches(self.alone, self.together)

    async def alone(self, number: int) -> str:
        self.busy += 1
        assert self.busy == 1
        await self.gate.wait()
        self.busy -= 1
        self.ran.append([number])
        if number < 0:
            raise ValueError(number)
        return f"alone {number}"

    async def together(self, numbers: Sequence[int]) -> Sequence[str | None]:
        assert self.busy == 0
        if 666 in numbers:
            raise OSError
        even = [number for number in numbers if number % 2 == 0]
        first = next((at for at, number in enumerate(numbers) if number % 2), len(numbers))
        if first:
            self.ran.append(list(numbers[:first]))
        assert even or first == 0
        return [f"with {len(numbers)}"] * first + [None] * (len(numbers) - first)

    async def all_of(self, *numbers: int, key: str = "x") -> list[str | BaseException]:
        self.gate.clear()
        tasks = [asyncio.create_task(self.batches.run(key, number)) for number in numbers]
        await asyncio.sleep(0)
        self.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_items_that_waited_run_as_a_batch() -> None:
    counter = Counter()
    assert await counter.all_of(1, 2, 4, 6) == ["alone 1", "with 3", "with 3", "with 3"]
    assert counter.ran == [[1], [2, 4, 6]]
    assert await counter.all_of(8) == ["alone 8"]


async def test_items_that_run_alone_keep_their_order() -> None:
    counter = Counter()
    results = await counter.all_of(2, 4, 3, 6, 8, 5)
    assert results == ["alone 2", "with 5", "alone 3", "with 3", "with 3", "alone 5"]
    assert counter.ran == [[2], [4], [3], [6, 8], [5]]


async def test_an_error_is_raised_to_its_own_caller() -> None:
    counter = Counter()
    first, second, third, last = await counter.all_of(-1, -3, 2, 4)
    assert isinstance(first, ValueError)
    assert isinstance(second, ValueError)
    assert [third, last] == ["with 2", "with 2"]
    first, *others = await counter.all_of(1, 666, 2)
    assert first == "alone 1"
    assert [type(one) for one in others] == [OSError, OSError]


async def test_a_cancelled_item_is_left_out() -> None:
    counter = Counter()
    tasks = [asyncio.create_task(counter.batches.run("x", number)) for number in (1, 2, 4, 6)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    counter.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [results[0], results[1], results[3]] == ["alone 1", "with 2", "with 2"]
    assert counter.ran == [[1], [2, 6]]


async def test_the_others_run_when_the_first_is_cancelled() -> None:
    counter = Counter()
    tasks = [asyncio.create_task(counter.batches.run("x", number)) for number in (1, 2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    counter.busy = 0
    counter.gate.set()
    assert await tasks[1] == "alone 2"


async def test_keys_do_not_wait_for_each_other() -> None:
    counter = Counter()
    waiting = asyncio.create_task(counter.batches.run("x", 1))
    await asyncio.sleep(0)
    counter.busy = 0
    assert await counter.all_of(3, key="y") == ["alone 3"]
    counter.busy = 1
    assert await waiting == "alone 1"
