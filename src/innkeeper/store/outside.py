"""Waiting for other systems: in threads that nothing else needs, and not for ever."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

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
        raise TimeoutError("an earlier attempt still hangs")
    _stuck.pop(place, None)
    given_up = threading.Event()
    ending = threading.Lock()

    def run() -> Result | None:
        try:
            made = act()
        except BaseException:
            if given_up.is_set():
                return None
            raise
        with ending:
            if given_up.is_set():
                undo()
        return made

    began = time.monotonic()
    future = _threads.submit(run)
    waiting = asyncio.wrap_future(future)
    while True:
        done, _ = await asyncio.wait({waiting}, timeout=min(1.0, seconds))
        if not done and time.monotonic() - (moved() if moved else began) > seconds:
            with ending:
                if not future.done():
                    given_up.set()
                    _stuck[place] = future
                    raise TimeoutError(f"nothing moved for {seconds:g} seconds")
        if done:
            return waiting.result()  # type: ignore[return-value]
