"""How many deliveries and webhooks of one workspace are under way in one process.

They have slots of their own beside other jobs. A workspace takes one more only while it has fewer
than are free: one that is alone gets half of them, each of two a third, and however many workspaces
have slow destinations, some are free for the others.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

SLOTS: Final = 64
"""Of deliveries and webhooks together, in one process."""
SOON: Final = timedelta(seconds=1)
"""When to ask again for a slot: at once would keep jobs that came later waiting."""

_under_way: Counter[str] = Counter()


@contextmanager
def workspace_slot(workspace: str) -> Iterator[bool]:
    """Whether this workspace has a slot left, which is taken until the block ends."""
    if _under_way[workspace] >= SLOTS - _under_way.total():
        yield False
        return
    _under_way[workspace] += 1
    try:
        yield True
    finally:
        _under_way[workspace] -= 1
        if not _under_way[workspace]:
            del _under_way[workspace]
