"""Limit how many deliveries and webhooks of one workspace run at the same time in one process.

They use slots that are separate from other jobs. A workspace takes another slot only while it has
fewer than are free. A single workspace gets half of the slots, each of two gets a third, and so on:
however many workspaces have slow destinations, slots stay free for the others.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

SLOTS: Final = 64
"""Slots of deliveries and webhooks together, in one process."""
SOON: Final = timedelta(seconds=1)
"""When to ask for a slot again: asking at once would delay jobs that were queued later."""

_running: Counter[str] = Counter()
"""Slots in use by workspace."""


@contextmanager
def workspace_slot(workspace: str) -> Iterator[bool]:
    """Yield whether this workspace gets a slot; it is released at the end of the block."""
    if _running[workspace] >= SLOTS - _running.total():
        yield False
        return
    _running[workspace] += 1
    try:
        yield True
    finally:
        _running[workspace] -= 1
        if not _running[workspace]:
            del _running[workspace]
