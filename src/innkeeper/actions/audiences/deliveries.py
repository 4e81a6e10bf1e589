"""Deliver files of exports to their destination: a folder, object storage or a URL.

Progress is stored batch by batch, so an interrupted delivery resumes where it stopped. A
destination that is down delays only its own deliveries: they run in separate threads and slots and
hold no database connection while they wait. Destinations that are slow, or whose last delivery
failed, have slots of their own (`delivery_slots`). A long delivery releases its slot after
`TURN_SECONDS`.
"""

import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from itertools import islice
from typing import IO, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import background, stored_secrets
from innkeeper.actions.audiences import webhooks
from innkeeper.actions.audiences.audience_exports import fetch
from innkeeper.actions.audiences.delivery_slots import FILES, Slot, SlowSlotsFull
from innkeeper.resources.base import Record
from innkeeper.rules.spreadsheets import MAPPING, MAPPING_SUFFIX
from innkeeper.settings import Settings
from innkeeper.store.destinations import BadDestination, Destination, destination_of
from innkeeper.store.external_calls import outside, within
from innkeeper.store.files import Files
from innkeeper.store.work import Lend

POST_SECONDS: Final = 30.0
"""Time limit of one request, from the DNS lookup to the status of the response."""
BATCH: Final = 500
"""Records in one request; the next request waits for the response."""
ATTEMPTS: Final = 20
FIRST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(hours=1)
TURN_SECONDS: Final = 60.0
"""How long a successful delivery holds its slot; it continues after other deliveries."""
STILL_SECONDS: Final = 60.0
"""An attempt fails after this time without a byte copied."""
_SOON: Final = timedelta(seconds=2)


@dataclass
class _Delivery:
    """One attempt to deliver the remaining files of an execution."""

    lend: Lend
    settings: Settings
    export: Record
    execution: UUID
    shape: Record
    """The format in which the files of the execution were written."""
    slot: Slot
    started: float = field(default_factory=time.monotonic)

    @property
    def is_turn_over(self) -> bool:
        """Whether the attempt has held its slot for longer than `TURN_SECONDS`."""
        return time.monotonic() - self.started > TURN_SECONDS


class _TurnEnded(Exception):
    """The attempt succeeds so far, and releases its slot to other deliveries."""


async def deliver(lend: Lend, execution: UUID) -> datetime | None:
    """Deliver the remaining files of an execution.

    Returns when to continue, or None if the execution is delivered or cancelled after too many
    attempts.
    """
    async with lend() as work:
        stored = await work.one("exports.find_execution", ref=execution)
        if stored is None or stored["delivered_at"] is not None:
            return None
        row = await fetch(work, stored["export_ref"])
        if row["destination"] is None:
            return None
        files = await work.all("exports.files", execution=execution)
        last_delivery = await work.one("exports.failing", url=row["destination"]["url"])
    failing = bool(last_delivery and last_delivery["failing"])
    slot = FILES.take(work, row["destination"]["url"], is_slow=failing)
    if slot is None:
        return clock.now() + _SOON
    with slot:
        delivery = _Delivery(lend, work.settings, row, execution, stored["shape"], slot)
        try:
            error = await _deliver_files(delivery, files)
        except (_TurnEnded, SlowSlotsFull):
            return clock.now() + _SOON
    return await _record_attempt(lend, stored, error)


async def _deliver_files(delivery: _Delivery, files: list[Record]) -> str | None:
    """Deliver one file after the other; returns the error message, or None."""
    for file in files:
        try:
            error = await _deliver_file(delivery, file)
        except (_TurnEnded, SlowSlotsFull):
            raise
        except Exception as fault:
            error = background.operator_message(fault)
        if error is not None:
            return error[:500]
    return None


async def _record_attempt(lend: Lend, stored: Record, error: str | None) -> datetime | None:
    """Store the outcome of an attempt; returns the time of the next attempt, or None."""
    attempts = stored["delivery_attempts"] + 1
    next_at = None
    if error and attempts < ATTEMPTS:
        next_at = clock.now() + background.pause(attempts, FIRST_PAUSE, LONGEST_PAUSE)
    async with lend() as work:
        await work.run(
            "exports.delivered",
            ref=stored["ref"],
            delivered_at=None if error else clock.now(),
            error=error,
            next_at=next_at,
        )
    return next_at


async def _deliver_file(delivery: _Delivery, file: Record) -> str | None:
    """Deliver one file; returns the error message, or None."""
    if file["delivered"] >= max(file["rows"], 1):
        return None
    files, export = Files.of(delivery.settings), delivery.export
    destination = export["destination"]
    if destination["type"] == "FOLDER":
        try:
            target = destination_of(delivery.settings, destination["url"])
        except BadDestination as bad:
            return f"the destination {bad}"
        folders = (export["friendly_id"], str(delivery.execution))
        is_guarded = bool(delivery.shape.get("guarded"))
        copy = _Copy(files, file["name"], target, folders, is_guarded)
        await within(STILL_SECONDS, destination["url"], copy.run, moved=lambda: copy.last_copied)
        delivery.slot.record_success()
        return await _record_progress(delivery, file, max(file["rows"], 1))
    done = file["delivered"]
    lines = _lines(files, file["name"], done)
    while batch := await outside(lambda: list(islice(lines, BATCH))):
        if delivery.is_turn_over:
            raise _TurnEnded
        error = await _post_batch(delivery, file, done, batch)
        done += len(batch)
        error = error or await _record_progress(delivery, file, done)
        if error is not None:
            return error
    return None


async def _post_batch(
    delivery: _Delivery, file: Record, done: int, batch: list[bytes]
) -> str | None:
    body, export = b"".join(batch), delivery.export
    secret = stored_secrets.webhook_secret(delivery.settings, export["webhook_secret"])
    stamp = str(int(clock.now().timestamp()))
    headers = {
        "Content-Type": "application/x-ndjson",
        webhooks.SIGNATURE: webhooks.signature(secret, stamp, body),
        # The same for a batch that is sent again, so that a receiver recognizes a repeat.
        "Idempotency-Key": f"{delivery.execution}-{file['number']}-{done}",
        "X-Innkeeper-Export": export["friendly_id"],
        "X-Innkeeper-Action": file["delta_action"] or "full",
    }
    url = export["destination"]["url"]
    posting = webhooks.post(delivery.settings, url, body, headers, POST_SECONDS)
    return await delivery.slot.run(posting)


async def _record_progress(delivery: _Delivery, file: Record, delivered: int) -> str | None:
    """Store how many rows of a file are delivered.

    Returns an error message if the file was replaced meanwhile: the new file is delivered later.
    """
    async with delivery.lend() as work:
        is_current = await work.run(
            "exports.delivering",
            execution=delivery.execution,
            number=file["number"],
            name=file["name"],
            delivered=delivered,
        )
    return None if is_current else "the file was replaced, because a guest was erased meanwhile"


def _lines(files: Files, name: str, skip: int) -> Iterator[bytes]:
    """Iterate over the lines of a compressed file after the first `skip` lines."""
    with files.open(name) as source, gzip.open(source) as lines:
        yield from islice(lines, skip, None)


@dataclass
class _Copy:
    """A copy of a whole file to its destination; a repeat writes the same file again."""

    files: Files
    name: str
    target: Destination
    folders: tuple[str, ...]
    is_guarded: bool
    last_copied: float = field(default_factory=time.monotonic)
    """When the last bytes were copied (`time.monotonic`)."""

    def run(self) -> None:
        """Copy the file, and for a guarded export the mapping file beside it."""
        name = self.name.rpartition("/")[2]
        with self.files.open(self.name) as source:
            self.target.copy(_TrackedReader(source, self), self.folders, name)
        if self.is_guarded:
            mapping = BytesIO(MAPPING.format(entity="guests").encode())
            self.target.copy(mapping, self.folders, name + MAPPING_SUFFIX)


@dataclass
class _TrackedReader:
    """A file that records the time of each read in its `_Copy`."""

    source: IO[bytes]
    copy: _Copy

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        self.copy.last_copied = time.monotonic()
        return self.source.read(size)
