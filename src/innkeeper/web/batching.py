"""Queues inside one process: items of one key run in order, without a connection while they wait,
and those that wait at the same time may run as one batch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH: Final = 64
"""Most items of one batch."""


class KeyedBatches(Generic[Item, Result]):
    """Runs the items of one key in order of arrival.

    `run_one` runs a single item. `run_batch` runs items that had to wait, and returns None for the
    first item that `run_one` must run, and for all after it.
    """

    def __init__(
        self,
        run_one: Callable[[Item], Awaitable[Result]],
        run_batch: Callable[[Sequence[Item]], Awaitable[Sequence[Result | None]]],
    ) -> None:
        self._run_one = run_one
        self._run_batch = run_batch
        # A key is in here while one of its items runs.
        self._pending: dict[Hashable, deque[tuple[Item, asyncio.Future[Result]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, key: Hashable, item: Item) -> Result:
        """Run an item after the earlier items of its key; return its result or raise its error."""
        pending = self._pending.get(key)
        if pending is not None:
            future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
            pending.append((item, future))
            return await future
        pending = self._pending[key] = deque()
        try:
            return await self._run_one(item)
        finally:
            if pending:
                # In a task: this caller has its result, and may be cancelled at any time.
                task = asyncio.create_task(self._run_pending(key, pending))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                del self._pending[key]

    async def _run_pending(
        self, key: Hashable, pending: deque[tuple[Item, asyncio.Future[Result]]]
    ) -> None:
        try:
            while pending:
                group = [pending.popleft() for _ in range(min(MAX_BATCH, len(pending)))]
                left = await self._run_some([one for one in group if not one[1].done()])
                pending.extendleft(reversed(left))
        finally:
            del self._pending[key]
            for _, future in pending:
                future.cancel()

    async def _run_some(
        self, group: list[tuple[Item, asyncio.Future[Result]]]
    ) -> list[tuple[Item, asyncio.Future[Result]]]:
        """Run at least one item of a group; return the items that have not run."""
        done = 0
        if len(group) > 1:
            try:
                results = await self._run_batch([item for item, _ in group])
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
                _settle(future, await self._run_one(item))
            except Exception as error:
                _settle(future, error)
            done = 1
        return group[done:]


def _settle(future: asyncio.Future[Result], outcome: Result | Exception) -> None:
    """Set the result or the error of a future, unless its caller was cancelled."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
