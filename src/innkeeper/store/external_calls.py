"""Run calls to other systems in their own threads, with a timeout."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar

Result = TypeVar("Result")

_threads: Final = ThreadPoolExecutor(128, thread_name_prefix="outside")
_stuck: dict[str, Future[Any]] = {}
"""Calls that timed out and have not ended yet, by the location they work on."""


async def outside(act: Callable[..., Result], *arguments: Any) -> Result:
    """Run a call that may wait long for another system, in a thread."""
    return await asyncio.wrap_future(_threads.submit(act, *arguments))


async def within(
    seconds: float,
    location: str,
    act: Callable[[], Result],
    *,
    moved: Callable[[], float] | None = None,
    undo: Callable[[], object] = lambda: None,
) -> Result:
    """Run a call that may hang. Raises TimeoutError if it has not ended after a number of seconds,
    or so long after `moved` (`time.monotonic`) last changed.

    A call that timed out may still end: then its effect is undone. Until it ends, further calls for
    the same location raise TimeoutError as well.
    """
    stuck = _stuck.get(location)
    if stuck is not None and not stuck.done():
        raise TimeoutError("an earlier attempt has not ended yet")
    _stuck.pop(location, None)
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
            _stuck[location] = future
            waiting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise TimeoutError(f"no data was transferred for {seconds:g} seconds")


class _Attempt(Generic[Result]):
    """A call, whose effect is undone if it ends after its timeout."""

    def __init__(self, act: Callable[[], Result], undo: Callable[[], object]) -> None:
        self._act = act
        self._undo = undo
        self._turn = threading.Lock()
        self._given_up = False
        self._ended = False

    def run(self) -> Result:
        """Run the call; after a timeout its result and errors are ignored."""
        result = self._act()
        with self._turn:
            self._ended = True
            if self._given_up:
                self._undo()
        return result

    def give_up(self) -> bool:
        """Mark the call as timed out; return whether it was still running then."""
        with self._turn:
            self._given_up = not self._ended
            return self._given_up
