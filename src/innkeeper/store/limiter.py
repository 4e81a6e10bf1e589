"""Semaphores with a bounded queue: how many callers run at once, and how many may wait.

There is one for each kind of slow work (password hashing, queries of the lake, downloads), so that
none uses all of a process. Take a slot before a database connection: a caller that waits for a slot
must hold nothing that others need.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from innkeeper.errors import Unavailable

WAIT_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 5
QUESTIONS_AT_ONCE: Final = 2
"""Queries of the lake that one process runs at a time; each may use every core."""


class Limiter:
    """`async with`: one of `at_once` slots, for which up to `waiting` callers wait in order.

    Raises `Unavailable` with Retry-After if as many callers wait already, and after `wait_seconds`;
    None waits without limit.
    """

    def __init__(
        self, what: str, at_once: int, waiting: int, wait_seconds: float | None = WAIT_SECONDS
    ) -> None:
        self._what = what
        self._free = at_once
        self._waiting = waiting
        self._wait_seconds = wait_seconds
        self._queue: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    async def acquire(self) -> None:
        """Take a slot; `release` returns it."""
        if self._free and not self._queue:
            self._free -= 1
            return
        if len(self._queue) >= self._waiting:
            raise self._busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # The slot was granted while the wait was ending.
                self.release()
            elif turn in self._queue:
                self._queue.remove(turn)
            if isinstance(error, TimeoutError):
                raise self._busy() from None
            raise

    def release(self) -> None:
        """Give a slot to the caller that waits longest."""
        while self._queue:
            turn = self._queue.popleft()
            if turn.done():
                continue
            if turn.get_loop() is asyncio.get_running_loop():
                turn.set_result(None)
            else:
                turn.get_loop().call_soon_threadsafe(self._grant, turn)
            return
        self._free += 1

    def _grant(self, turn: asyncio.Future[None]) -> None:
        """Use the slot that another thread released, or pass it on."""
        if turn.done():
            self.release()
        else:
            turn.set_result(None)

    @property
    def free(self) -> int:
        """Number of free slots."""
        return self._free

    @property
    def queued(self) -> int:
        """Number of waiting callers."""
        return len(self._queue)

    def _busy(self) -> Unavailable:
        return Unavailable(f"Too many {self._what} at once. Try again.", RETRY_SECONDS)


class KeyedLocks:
    """A lock for each key, which exists while it is held or waited for.

    Use it for work that would otherwise wait in the database with a connection per caller.
    """

    def __init__(self) -> None:
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._wanted: Counter[Hashable] = Counter()

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Hold the lock of a key, exclusively in this process."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._wanted[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._wanted[key] -= 1
            if not self._wanted[key]:
                del self._wanted[key], self._locks[key]


@dataclass(frozen=True, slots=True)
class Limits:
    """The slots of one process for each kind of slow work."""

    questions: Limiter
    """Queries of the lake; each uses a connection of a separate pool for its snapshot."""
    log_ins: Limiter
    """Password checks for unknown browsers: argon2 uses 64 MB and every core."""
    account_log_ins: Limiter
    """Password checks for browsers that have logged in before, or that follow a link."""
    uploads: Limiter
    """Uploads by signed links."""
    downloads: Limiter
    """Downloads by signed links."""
    import_files: Limiter
    """Reading of uploaded import files for the screens."""
    rule_previews: Limiter
    """Previews of identity rules, which read every guest."""
    undo_previews: Limiter
    """Previews of undos of imports, which check up to 50,000 rows."""

    @classmethod
    def of(cls, pool_size: int, question_wait_seconds: float | None = None) -> "Limits":
        """`question_wait_seconds`: how long a query of the lake may wait for its slot; None waits
        without limit."""
        # Queries of the lake never take all connections of a pool.
        questions = max(1, min(QUESTIONS_AT_ONCE, pool_size // 2))
        return cls(
            questions=Limiter("questions to the lake", questions, 16, question_wait_seconds),
            log_ins=Limiter("log-ins", 1, 16),
            account_log_ins=Limiter("log-ins", 1, 16),
            uploads=Limiter("uploads", 32, 0),
            downloads=Limiter("downloads", 64, 0),
            import_files=Limiter("import files", 2, 16),
            rule_previews=Limiter("previews of identity rules", 1, 8),
            undo_previews=Limiter("previews of undos", 1, 8),
        )
