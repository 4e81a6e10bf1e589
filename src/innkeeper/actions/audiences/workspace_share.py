"""How many deliveries and webhooks of one workspace are under way in one process.

They have slots of their own beside other jobs; one workspace never takes all of those, however many
slow destinations it has.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

WORKSPACE_SLOTS: Final = 48
"""Of the 64 that a process has."""

_under_way: Counter[str] = Counter()


@contextmanager
def workspace_slot(workspace: str) -> Iterator[bool]:
    """Whether this workspace has a slot left, which is taken until the block ends."""
    if _under_way[workspace] >= WORKSPACE_SLOTS:
        yield False
        return
    _under_way[workspace] += 1
    try:
        yield True
    finally:
        _under_way[workspace] -= 1
