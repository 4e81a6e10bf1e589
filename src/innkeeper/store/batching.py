"""Natural batching: calls of one kind that arrive while one of them runs share the next batch.

No call waits for others to arrive: if its queue is idle, it runs at once, as without a queue. Calls
that arrive meanwhile wait without a connection and run together when it ends. A batch starts after
its last call arrived, so a read sees every write that was acknowledged before.

Many calls run in two halves: the database runs one while this process responds to the other and
reads the next requests. All in one batch, each would be idle while the other works.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import chain
from typing import Any, Final, Generic, TypeVar

from prometheus_client import Histogram

from innkeeper.errors import Unavailable
from innkeeper.store.driver_errors import Contended

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH_MAX: Final = 64
"""Maximum number of calls of one batch."""
UNDIVIDED_MAX: Final = 8
"""Maximum number of waiting calls that always run in one batch."""
QUEUED_MAX: Final = 512
"""Maximum number of waiting calls of one kind; further ones raise `Unavailable`."""
STALLED_SECONDS: Final = 0.05
"""Longest time that calls wait for the running one, which may itself wait for a lock."""
RUNNING_MAX: Final = 4
"""Maximum number of batches of one kind at the same time; all but one of them are stalled."""
PASSING_MAX: Final = 100
"""Number of queues of equal calls from which on idle ones are removed."""

BATCH_SIZE: Final = Histogram(
    "innkeeper_batch_size",
    "Number of calls in one batch, by kind; calls that did not wait are not counted.",
    ["kind"],
    buckets=(1, 2, 4, 8, 16, 32, 64),
)
BATCH_WAIT: Final = Histogram(
    "innkeeper_batch_wait_seconds",
    "Seconds that the first call of a batch waited, by kind.",
    ["kind"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)


class Alone(Enum):
    """The outcome of a call that its batch did not run; its caller runs it alone."""

    ALONE = "alone"
    NEXT = "next"
    """The outcome of a call that runs alone, next in its queue; the others wait for it."""


ALONE: Final = Alone.ALONE


def _new_future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class _Call(Generic[Item, Result]):
    """A call that waits for its batch."""

    item: Item
    key: Hashable
    is_slow: bool
    outcome: asyncio.Future[Result | Alone] = field(default_factory=_new_future)
    queued_at: float = field(default_factory=time.perf_counter)


class BatchQueue(Generic[Item, Result]):
    """Runs calls of one kind, one batch at a time.

    `run_batch` returns an outcome for each item: its result, or `ALONE` for an item that it did not
    run. If it raises, every call of the batch runs alone, so that only the calls that fail raise
    the error. If the database is unavailable nothing runs again, since it may have been written.

    Calls with the same key take effect in order of arrival. `run_batch` gets them in that order. If
    it returns `ALONE` for one, it must do so for the later ones of that key.
    """

    def __init__(
        self, kind: str, run_batch: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Alone]]]
    ) -> None:
        self._run_batch = run_batch
        self._sizes, self._waits = BATCH_SIZE.labels(kind), BATCH_WAIT.labels(kind)
        self._running = 0
        self._latest_size = 1
        """Number of calls that were started last."""
        self._started_at = 0.0
        self._pending: deque[_Call[Item, Result]] = deque()
        self._busy: set[Hashable] = set()
        """Keys of the calls that run alone."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        """A timer while calls wait; it starts them if the running call is stalled."""

    def must_wait(self, key: Hashable = None) -> bool:
        """Whether the next call with `key` has to wait."""
        return self._running > 0 or key in self._busy

    async def run(
        self,
        item: Item,
        run_alone: Callable[[], Awaitable[Result]],
        key: Hashable = None,
        *,
        is_slow: bool = False,
    ) -> Result:
        """Return the result of a call, or raise its error; `run_alone` runs it without a batch.

        With `is_slow` the call always runs alone, and only calls with its key wait for it. Raises
        `Unavailable` if too many calls wait.
        """
        if not (self._running or key in self._busy):
            is_next = not is_slow
            if key is not None:
                self._busy.add(key)
            self._running = int(is_next)
            self._latest_size = 1
            self._started_at = time.perf_counter()
        else:
            outcome = await self._enqueue(_Call(item, key, is_slow))
            if not isinstance(outcome, Alone):
                return outcome
            is_next = outcome is Alone.NEXT
        try:
            return await run_alone()
        finally:
            self._release(key, is_next=is_next)

    async def _enqueue(self, call: _Call[Item, Result]) -> Result | Alone:
        if len(self._pending) >= QUEUED_MAX:
            raise Unavailable("Too many requests wait for the database.")
        self._pending.append(call)
        self._set_timer()
        try:
            return await call.outcome
        except asyncio.CancelledError:
            turn = call.outcome
            if turn.done() and not turn.cancelled() and not turn.exception():
                # The outcome came while the caller was being cancelled.
                outcome = turn.result()
                if isinstance(outcome, Alone):
                    self._release(call.key, is_next=outcome is Alone.NEXT)
            raise

    def _set_timer(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(STALLED_SECONDS, self._pass_stalled)

    def _pass_stalled(self) -> None:
        """Start the waiting calls if the latest running one is stalled."""
        self._timer = None
        if not self._pending:
            return
        is_stalled = time.perf_counter() - self._started_at >= STALLED_SECONDS
        if is_stalled and self._running < RUNNING_MAX:
            self._start()
        if self._pending:
            self._set_timer()

    def _mark(self, key: Hashable) -> None:
        if key is not None:
            self._busy.add(key)

    def _release(self, key: Hashable, *, is_next: bool) -> None:
        """End a call that ran alone, and start the calls that waited for it."""
        self._busy.discard(key)
        self._running -= is_next
        if self._pending and not self._running:
            self._start()

    def _start(self) -> None:
        """Start the next batch, of the calls whose key is free."""
        group: list[_Call[Item, Result]] = []
        left: deque[_Call[Item, Result]] = deque()
        # Those that ran last will soon be followed by as many.
        half = (self._latest_size + len(self._pending) + 1) // 2
        most = min(max(half, UNDIVIDED_MAX), BATCH_MAX)
        while self._pending and len(group) < most:
            call = self._pending.popleft()
            if call.key in self._busy:
                left.append(call)
            elif call.outcome.done():
                continue
            elif call.is_slow:
                self._mark(call.key)
                call.outcome.set_result(ALONE)
            else:
                group.append(call)
        self._pending.extendleft(reversed(left))
        if not group:
            return
        self._running += 1
        self._latest_size = len(group)
        self._started_at = time.perf_counter()
        self._sizes.observe(len(group))
        self._waits.observe(self._started_at - group[0].queued_at)
        if len(group) == 1:
            self._mark(group[0].key)
            group[0].outcome.set_result(Alone.NEXT)
            return
        # In a task: any caller may be cancelled at any time.
        task = asyncio.create_task(self._run(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, group: list[_Call[Item, Result]]) -> None:
        """Run a batch and set the outcome of each call."""
        try:
            outcomes = await self._run_batch([call.item for call in group])
        except BaseException as error:
            if isinstance(error, Exception) and _may_run_again(error):
                self._settle(group, [ALONE] * len(group))
            else:
                self._fail(group, error)
                if not isinstance(error, Exception):
                    raise
        else:
            self._settle(group, outcomes)
        finally:
            self._release(None, is_next=True)

    def _settle(self, group: list[_Call[Item, Result]], outcomes: Sequence[Result | Alone]) -> None:
        waiting: list[_Call[Item, Result]] = []
        for call, outcome in zip(group, outcomes, strict=True):
            if call.outcome.done():
                continue
            if outcome is not ALONE:
                call.outcome.set_result(outcome)
            elif call.key in self._busy:
                waiting.append(call)
            else:
                self._mark(call.key)
                call.outcome.set_result(ALONE)
        self._pending.extendleft(reversed(waiting))

    def _fail(self, group: list[_Call[Item, Result]], error: BaseException) -> None:
        """Fail the batch and the calls that wait for it, because the database is unavailable."""
        calls = [*group, *self._pending]
        self._pending.clear()
        for call in calls:
            if call.outcome.done():
                continue
            if isinstance(error, Exception):
                call.outcome.set_exception(error)
            else:
                call.outcome.cancel()


class BatchQueues:
    """The queues of one process, by kind and by what calls must have in common to share a batch."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, BatchQueue[Any, Any]] = {}
        self._passing: dict[Hashable, BatchQueue[Any, Any]] = {}
        """Queues of equal calls, which callers make as many as they like."""

    def __iter__(self) -> Iterator[BatchQueue[Any, Any]]:
        return chain(self._queues.values(), self._passing.values())

    def get(
        self,
        kind: str,
        key: Hashable,
        run_batch: Callable[..., Any],
        *arguments: Any,
        is_passing: bool = False,
    ) -> BatchQueue[Any, Any]:
        """Return a queue; a new one runs batches by `run_batch(*arguments, items)`.

        One that `is_passing` may be removed while it is idle: its calls must need no order.
        """
        queues = self._passing if is_passing else self._queues
        queue = queues.get((kind, key))
        if queue is None:
            if is_passing and len(queues) >= PASSING_MAX:
                for name in [name for name, each in queues.items() if not each.must_wait()]:
                    del queues[name]
            queue = queues[kind, key] = BatchQueue(kind, partial(run_batch, *arguments))
        return queue


def _may_run_again(error: Exception) -> bool:
    """Whether a failed batch wrote nothing."""
    return isinstance(error, Contended) or not isinstance(error, Unavailable)
