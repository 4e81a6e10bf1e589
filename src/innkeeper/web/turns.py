"""Taking turns inside one process: who waits for the same thing holds no connection meanwhile, and
those who wait at the same time may be served together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST: Final = 64
"""Items served together."""


class Turns(Generic[Item, Result]):
    """Serves items of one name in the order they came: one at a time by `alone`, and those that had
    to wait by `together`, which answers None for each that it leaves to `alone`."""

    def __init__(
        self,
        alone: Callable[[Item], Awaitable[Result]],
        together: Callable[[Sequence[Item]], Awaitable[Sequence[Result | None]]],
    ) -> None:
        self._alone = alone
        self._together = together
        # A name is in here while somebody is served.
        self._waiting: dict[Hashable, deque[tuple[Item, asyncio.Future[Result]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, name: Hashable, item: Item) -> Result:
        """What came of an item, once those of that name before it were served."""
        waiting = self._waiting.get(name)
        if waiting is not None:
            future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
            waiting.append((item, future))
            return await future
        waiting = self._waiting[name] = deque()
        try:
            return await self._alone(item)
        finally:
            if waiting:
                # Not by this caller, who has an answer, and may go away at any time.
                task = asyncio.create_task(self._serve(name, waiting))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                del self._waiting[name]

    async def _serve(
        self, name: Hashable, waiting: deque[tuple[Item, asyncio.Future[Result]]]
    ) -> None:
        try:
            while waiting:
                group = [waiting.popleft() for _ in range(min(MOST, len(waiting)))]
                left = await self._serve_batch([one for one in group if not one[1].done()])
                waiting.extendleft(reversed(left))
        finally:
            del self._waiting[name]
            for _, future in waiting:
                future.cancel()

    async def _serve_batch(
        self, group: list[tuple[Item, asyncio.Future[Result]]]
    ) -> list[tuple[Item, asyncio.Future[Result]]]:
        """Serve some of a group, one at least; the others."""
        done = 0
        if len(group) > 1:
            try:
                results = await self._together([item for item, _ in group])
            except Exception as error:
                for _, future in group:
                    _settle(future, error)
                return []
            for (_, future), result in zip(group, results, strict=True):
                if result is None:
                    break
                _settle(future, result)
                done += 1
        if group[done:] and not done:
            item, future = group[0]
            try:
                _settle(future, await self._alone(item))
            except Exception as error:
                _settle(future, error)
            done = 1
        return group[done:]


def _settle(future: asyncio.Future[Result], outcome: Result | Exception) -> None:
    """Tell one who waits, unless it went away."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
