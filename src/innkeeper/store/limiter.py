"""Semaphores with a bounded queue: how many do one slow thing at a time, and how many may wait.

One for each kind of slow work (hashing, questions to the lake, downloads), so that none takes all
of a process. Take a slot before a database connection: whoever waits for one must hold nothing
that others need.
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
"""Questions to the lake that one process answers at a time: each may use every core."""


class Limiter:
    """`async with`: a slot of `at_once`, for which `waiting` more callers wait in their order.

    Raises `Unavailable` with a Retry-After when as many wait already, and after `wait_seconds`;
    None waits as long as it takes.
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
        """Take a slot, to be given back by `release`."""
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
                # It was granted at the moment at which we gave up.
                self.release()
            elif turn in self._queue:
                self._queue.remove(turn)
            if isinstance(error, TimeoutError):
                raise self._busy() from None
            raise

    def release(self) -> None:
        """Give a slot to whoever waits longest."""
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
        """Give the slot that another thread released, or pass it on."""
        if turn.done():
            self.release()
        else:
            turn.set_result(None)

    @property
    def free(self) -> int:
        """How many slots nobody holds."""
        return self._free

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._queue)

    def _busy(self) -> Unavailable:
        return Unavailable(f"Too many {self._what} at once. Try again.", RETRY_SECONDS)


class KeyedLocks:
    """A lock for each key, for as long as it is held or waited for.

    For what would otherwise wait in the database, with a connection each.
    """

    def __init__(self) -> None:
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._wanted: Counter[Hashable] = Counter()

    @asynccontextmanager
    async def held(self, key: Hashable) -> AsyncIterator[None]:
        """Be the only one in this process who holds the lock of a key."""
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
    """How much of each kind of slow work one process does at a time."""

    questions: Limiter
    """Questions to the lake; each has a connection of a pool apart for its snapshot."""
    log_ins: Limiter
    """Passwords verified for browsers that nobody knows: argon2 takes 64 MB and every core."""
    account_log_ins: Limiter
    """Passwords of people whose browser has logged in before, or who follow a link."""
    uploads: Limiter
    """Files that arrive by signed links."""
    downloads: Limiter
    """Files that leave by signed links."""
    import_files: Limiter
    """Import files that screens look into."""

    @classmethod
    def of(cls, pool_size: int, question_wait_seconds: float | None = None) -> "Limits":
        """`question_wait_seconds`: how long a question may wait for its slot; None waits as long
        as it takes."""
        # Questions never take all of a pool.
        questions = max(1, min(QUESTIONS_AT_ONCE, pool_size // 2))
        return cls(
            questions=Limiter("questions to the lake", questions, 16, question_wait_seconds),
            log_ins=Limiter("log-ins", 1, 16),
            account_log_ins=Limiter("log-ins", 1, 16),
            uploads=Limiter("uploads", 32, 0),
            downloads=Limiter("downloads", 64, 0),
            import_files=Limiter("import files", 2, 16),
        )
