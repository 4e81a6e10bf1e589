"""Turns: one after the other by name, together where they waited, each told its own outcome."""

import asyncio
from collections.abc import Sequence

import pytest

from innkeeper.web.turns import Turns

pytestmark = pytest.mark.anyio


class Counter:
    """Serves numbers: odd ones alone, negative ones fail; notes who was served with whom."""

    def __init__(self) -> None:
        self.served: list[list[int]] = []
        self.busy = 0
        self.gate = asyncio.Event()
        self.turns = Turns(self.alone, self.together)

    async def alone(self, number: int) -> str:
        self.busy += 1
        assert self.busy == 1
        await self.gate.wait()
        self.busy -= 1
        self.served.append([number])
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
            self.served.append(list(numbers[:first]))
        assert even or first == 0
        return [f"with {len(numbers)}"] * first + [None] * (len(numbers) - first)

    async def all_of(self, *numbers: int, name: str = "x") -> list[str | BaseException]:
        self.gate.clear()
        tasks = [asyncio.create_task(self.turns.take(name, number)) for number in numbers]
        await asyncio.sleep(0)
        self.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_those_who_waited_are_served_together() -> None:
    counter = Counter()
    assert await counter.all_of(1, 2, 4, 6) == ["alone 1", "with 3", "with 3", "with 3"]
    assert counter.served == [[1], [2, 4, 6]]
    assert await counter.all_of(8) == ["alone 8"]


async def test_the_order_holds_with_those_who_must_be_alone() -> None:
    counter = Counter()
    told = await counter.all_of(2, 4, 3, 6, 8, 5)
    assert told == ["alone 2", "with 5", "alone 3", "with 3", "with 3", "alone 5"]
    assert counter.served == [[2], [4], [3], [6, 8], [5]]


async def test_a_failure_is_told_to_whom_it_happened() -> None:
    counter = Counter()
    first, second, third, last = await counter.all_of(-1, -3, 2, 4)
    assert isinstance(first, ValueError)
    assert isinstance(second, ValueError)
    assert [third, last] == ["with 2", "with 2"]
    first, *others = await counter.all_of(1, 666, 2)
    assert first == "alone 1"
    assert [type(one) for one in others] == [OSError, OSError]


async def test_who_goes_away_is_left_out() -> None:
    counter = Counter()
    tasks = [asyncio.create_task(counter.turns.take("x", number)) for number in (1, 2, 4, 6)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    counter.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [told[0], told[1], told[3]] == ["alone 1", "with 2", "with 2"]
    assert counter.served == [[1], [2, 6]]


async def test_the_first_may_go_away_and_the_others_are_served() -> None:
    counter = Counter()
    tasks = [asyncio.create_task(counter.turns.take("x", number)) for number in (1, 2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    counter.busy = 0
    counter.gate.set()
    assert await tasks[1] == "alone 2"


async def test_names_do_not_wait_for_each_other() -> None:
    counter = Counter()
    waiting = asyncio.create_task(counter.turns.take("x", 1))
    await asyncio.sleep(0)
    counter.busy = 0
    assert await counter.all_of(3, name="y") == ["alone 3"]
    counter.busy = 1
    assert await waiting == "alone 1"
