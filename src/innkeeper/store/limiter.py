"""A limit of how much of one kind of work this process does at a time."""

import asyncio
from types import TracebackType

from innkeeper.errors import Unavailable

WAIT_SECONDS = 10.0


class Limiter:
    """`async with`: one of so many turns; raises `Unavailable` when too many wait, or for long.

    Take a turn before a database connection: whoever waits for one must hold nothing that others
    need.
    """

    def __init__(self, what: str, at_once: int, waiting: int) -> None:
        self._what = what
        self._at_once = at_once
        self._most_waiting = waiting
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns = asyncio.Semaphore(at_once)
        self.waiting = 0

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Turns that a loop which has ended took are free again.
            self._loop, self._turns, self.waiting = loop, asyncio.Semaphore(self._at_once), 0
        if not self._turns.locked():
            await self._turns.acquire()
            return
        if self.waiting >= self._most_waiting:
            raise Unavailable(f"Too many {self._what} wait.")
        self.waiting += 1
        try:
            await asyncio.wait_for(self._turns.acquire(), WAIT_SECONDS)
        except TimeoutError:
            raise Unavailable(f"Too many {self._what} are under way.") from None
        finally:
            self.waiting -= 1

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._turns.release()
