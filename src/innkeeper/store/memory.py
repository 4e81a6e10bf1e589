"""How much memory this machine, or the container we are in, lets us use, and how ours is tidied."""

import gc
import os
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
