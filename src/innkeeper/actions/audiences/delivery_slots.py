"""Slots for webhook messages and export deliveries, by how fast an address responded last time.

Each process has three classes of slots for each kind: `quick` for addresses that responded to the
last request within `QUICK_SECONDS`, `new` for those never called before, `slow` for the others. A
request that takes longer moves to a slow slot; if none is free, it is cancelled and sent again
later. So slow addresses do not delay quick ones, of the same workspace or of another.

A workspace takes another slot of a class only while it has fewer than are free: a single workspace
gets half of the slots, each of two gets a third.
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
"""Time after which the address of a request counts as slow."""
SOON: Final = timedelta(seconds=1)
"""Pause of a job that gets no slot: without it, jobs that were queued later would wait."""
CACHE_SIZE: Final = 10_000
"""Maximum number of addresses whose speed a process caches; the oldest become new again."""


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
        """Take a slot of the class of a URL's address; None if its workspace gets none."""
        address = (work.workspace, urlsplit(url).netloc or url)
        was_quick = False if is_slow else self._was_quick.get(address)
        slot_class = self.new if was_quick is None else self.quick if was_quick else self.slow
        return Slot(self, address, slot_class) if slot_class.take(work.workspace) else None

    def record_speed(self, address: Address, *, was_quick: bool) -> None:
        """Cache how fast an address responded."""
        self._was_quick[address] = was_quick
        self._was_quick.move_to_end(address)
        if len(self._was_quick) > CACHE_SIZE:
            self._was_quick.popitem(last=False)


@dataclass
class Slot:
    """A slot that one address holds until the block ends."""

    of: DeliverySlots
    address: Address
    slot_class: SlotClass | None

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *_: object) -> None:
        if self.slot_class is not None:
            self.slot_class.release(self.address[0])
            self.slot_class = None

    async def run(self, request: Coroutine[Any, Any, Result]) -> Result:
        """Run one request; raises `SlowSlotsFull` if it was cancelled."""
        started = time.monotonic()
        task = asyncio.ensure_future(request)
        try:
            is_slow = self.slot_class is self.of.slow
            done, _ = await asyncio.wait({task}, timeout=None if is_slow else QUICK_SECONDS)
            if not done:
                self.of.record_speed(self.address, was_quick=False)
                self._move_to_slow()
            result = await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
        was_quick = time.monotonic() - started <= QUICK_SECONDS
        self.of.record_speed(self.address, was_quick=was_quick)
        return result

    def record_success(self) -> None:
        """Cache that the address accepted a request quickly."""
        self.of.record_speed(self.address, was_quick=True)

    def _move_to_slow(self) -> None:
        """Exchange the slot for a slow one; raises `SlowSlotsFull` if none is free."""
        self.__exit__()
        if not self.of.slow.take(self.address[0]):
            raise SlowSlotsFull
        self.slot_class = self.of.slow


MESSAGES: Final = DeliverySlots(quick=64, new=32, slow=32)
FILES: Final = DeliverySlots(quick=32, new=16, slow=32)
CONCURRENCY: Final = MESSAGES.total + FILES.total + 8
"""Jobs of the queue that one process runs at once: more than slots, since some jobs only check
whether a slot is free."""
