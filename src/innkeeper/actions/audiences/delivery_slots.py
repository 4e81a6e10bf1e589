"""Slots for webhook messages and export deliveries, by how fast an address answered last time.

Each process has three classes of slots for each kind: `quick` for addresses whose last request was
answered within `QUICK_SECONDS`, `new` for those never called before, `slow` for the others. A
request that takes longer moves to a slow slot; if none is free it is cancelled and sent again
later. So an address that answers waits for no slow one, of its workspace or of another.

A workspace takes one more slot of a class only while it has fewer than are free: one that is alone
gets half of them, each of two a third.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from innkeeper.store.work import Work

Result = TypeVar("Result")
Address = tuple[str, str]
"""Workspace and destination: host and port of a URL."""

QUICK_SECONDS: Final = 1.0
"""How long a request may take before its address counts as slow."""
SOON: Final = timedelta(seconds=1)
"""Pause of a job that found no slot: without one, jobs that came later would wait."""
REMEMBERED: Final = 10_000
"""Addresses whose speed a process remembers; the oldest ones become new again."""


class SlowSlotsFull(Exception):
    """A request was cancelled: it became slow, and no slow slot was free."""


class SlotClass:
    """Slots that workspaces share."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.running: Counter[str] = Counter()

    def take(self, workspace: str) -> bool:
        """Take a slot if the workspace's share allows one more."""
        if self.running[workspace] >= self.slots - self.running.total():
            return False
        self.running[workspace] += 1
        return True

    def release(self, workspace: str) -> None:
        """Return a slot."""
        self.running[workspace] -= 1
        if not self.running[workspace]:
            del self.running[workspace]


class DeliverySlots:
    """The slots of one kind of requests."""

    def __init__(self, quick: int, new: int, slow: int) -> None:
        self.quick, self.new, self.slow = SlotClass(quick), SlotClass(new), SlotClass(slow)
        self._was_quick: OrderedDict[Address, bool] = OrderedDict()

    @property
    def total(self) -> int:
        """Slots of all classes."""
        return self.quick.slots + self.new.slots + self.slow.slots

    def take(self, work: Work, url: str, *, is_slow: bool = False) -> "Slot | None":
        """A slot of the class of a URL's address; None if there is none for its workspace."""
        address = (work.workspace, urlsplit(url).netloc or url)
        was_quick = False if is_slow else self._was_quick.get(address)
        wanted = self.new if was_quick is None else self.quick if was_quick else self.slow
        return Slot(self, address, wanted) if wanted.take(work.workspace) else None

    def remember(self, address: Address, *, was_quick: bool) -> None:
        """Note how fast an address answered."""
        self._was_quick[address] = was_quick
        self._was_quick.move_to_end(address)
        if len(self._was_quick) > REMEMBERED:
            self._was_quick.popitem(last=False)


@dataclass
class Slot:
    """A slot that one address holds until the block ends."""

    of: DeliverySlots
    address: Address
    held: SlotClass | None

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *_: object) -> None:
        if self.held is not None:
            self.held.release(self.address[0])
            self.held = None

    async def run(self, request: Coroutine[Any, Any, Result]) -> Result:
        """Send one request; raises `SlowSlotsFull` when it was cancelled."""
        started = time.monotonic()
        task = asyncio.ensure_future(request)
        try:
            is_slow = self.held is self.of.slow
            done, _ = await asyncio.wait({task}, timeout=None if is_slow else QUICK_SECONDS)
            if not done:
                self.of.remember(self.address, was_quick=False)
                self._move_to_slow()
            result = await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
        was_quick = time.monotonic() - started <= QUICK_SECONDS
        self.of.remember(self.address, was_quick=was_quick)
        return result

    def remember_quick(self) -> None:
        """Note that the address took what it was sent."""
        self.of.remember(self.address, was_quick=True)

    def _move_to_slow(self) -> None:
        self.__exit__()
        if not self.of.slow.take(self.address[0]):
            raise SlowSlotsFull
        self.held = self.of.slow


MESSAGES: Final = DeliverySlots(quick=64, new=32, slow=32)
FILES: Final = DeliverySlots(quick=32, new=16, slow=32)
CONCURRENCY: Final = MESSAGES.total + FILES.total + 8
"""Jobs of the queue that one process runs at once: some more than slots, for those that only look
whether a slot is free."""
