"""How much memory this machine, or the container we are in, lets us use, and how ours is tidied."""

import gc
import os
import sys
import traceback
from pathlib import Path
from typing import Final

_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def machine_bytes() -> int:
    """Memory in bytes: what is built in, or less where the container has a limit."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in _LIMITS:
        try:
            text = limit.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


_ALLOCATIONS: Final = 50_000


def collect_seldom() -> None:
    """What is loaded so far stays, and need not be looked at for cycles again; for new ones only
    now and then. For processes that read many records: they are trees, which go without it, and
    looking through them took a fifth of an import's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)


_SWITCH_SECONDS: Final = 0.000_5


def switch_threads_often() -> None:
    """Let a thread that waits for the interpreter have it after half a millisecond, not after five.

    An event loop waits for it several times in each request, while threads that run Python all the
    time (large pages, compressed bodies) have it.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


def clear_frames(error: BaseException) -> None:
    """Free what the functions that an error came through had at hand: bodies, and what was made of
    them. Call it where an error ends.

    A future holds its error, the error its frames, and those the future: only the garbage collector
    would free them, which runs seldom (`collect_seldom`).
    """
    cleared: set[int] = set()
    each: BaseException | None = error
    # An error may be its own cause: `raise error from fault`, where both are one.
    while each is not None and id(each) not in cleared:
        cleared.add(id(each))
        traceback.clear_frames(each.__traceback__)
        each = each.__cause__ or each.__context__
