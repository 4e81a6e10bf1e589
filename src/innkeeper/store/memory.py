"""Memory limits of the machine or container, and settings of Python's garbage collector."""

import atexit
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
    """Return the memory in bytes: that of the machine, or the limit of the container if it is
    less."""
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
    """Exclude loaded objects from garbage collection, and collect new ones seldom. For processes
    that read many records: records are trees, which need no collection, and collecting took a fifth
    of the time of an import."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
    # DuckDB reports each of its objects that is left at the end of the process.
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)


_SWITCH_SECONDS: Final = 0.000_5


def switch_threads_often() -> None:
    """Let a waiting thread have the interpreter after half a millisecond instead of five.

    The event loop waits for it several times in each request while threads run Python code (large
    pages, compressed bodies).
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


def clear_frames(error: BaseException) -> None:
    """Free the local variables of the functions that an error passed through, such as bodies. Call
    it where an error is handled.

    A future holds its error, the error its frames, and these hold the future: only the garbage
    collector would free them, and it runs seldom (`collect_seldom`).
    """
    cleared: set[int] = set()
    each: BaseException | None = error
    # An error may be its own cause: `raise error from fault`, where both are one.
    while each is not None and id(each) not in cleared:
        cleared.add(id(each))
        traceback.clear_frames(each.__traceback__)
        each = each.__cause__ or each.__context__
