"""Waiting for other systems: in threads that nothing else needs, and not for ever."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar

Result = TypeVar("Result")

_threads: Final = ThreadPoolExecutor(128, thread_name_prefix="outside")
_stuck: dict[str, Future[Any]] = {}
"""What was given up and has not ended, by what it is at."""


async def outside(act: Callable[..., Result], *given: Any) -> Result:
    """Do what may wait long for another system."""
    return await asyncio.wrap_future(_threads.submit(act, *given))


async def within(
    seconds: float,
    place: str,
    act: Callable[[], Result],
    *,
    moved: Callable[[], float] | None = None,
    undo: Callable[[], object] = lambda: None,
) -> Result:
    """Do what may hang; raises TimeoutError when it has not ended after so many seconds, or since
    it `moved` last (`time.monotonic`).

    Given up, it may still end: what it did is undone then. Until it has, nothing is done at the
    same place, which raises TimeoutError as well.
    """
    stuck = _stuck.get(place)
    if stuck is not None and not stuck.done():
        raise TimeoutError("an earlier attempt has not ended yet")
    _stuck.pop(place, None)
    attempt = _Attempt(act, undo)
    began = time.monotonic()
    future = _threads.submit(attempt.run)
    waiting = asyncio.wrap_future(future)
    while True:
        done, _ = await asyncio.wait({waiting}, timeout=min(1.0, seconds))
        if done:
            return waiting.result()
        is_late = time.monotonic() - (moved() if moved else began) > seconds
        if is_late and attempt.give_up():
            _stuck[place] = future
            waiting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise TimeoutError(f"no data was transferred for {seconds:g} seconds")


class _Attempt(Generic[Result]):
    """Something done once, and undone where it was given up before it ended."""

    def __init__(self, act: Callable[[], Result], undo: Callable[[], object]) -> None:
        self._act = act
        self._undo = undo
        self._turn = threading.Lock()
        self._given_up = False
        self._ended = False

    def run(self) -> Result:
        """Do it; nobody hears what becomes of it once it was given up."""
        made = self._act()
        with self._turn:
            self._ended = True
            if self._given_up:
                self._undo()
        return made

    def give_up(self) -> bool:
        """Whether it has not ended yet, and counts no more."""
        with self._turn:
            self._given_up = not self._ended
            return self._given_up
