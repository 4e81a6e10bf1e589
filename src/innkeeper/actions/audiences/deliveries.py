"""Bringing files of exports to where they are wanted: a folder, object storage, a web address.

What was taken is noted batch by batch, so a delivery that is cut off goes on where it stopped. A
destination that is down delays only its own deliveries: they wait in threads and slots of their
own, hold no connection to the database meanwhile, and those to where the last one failed have half
of the slots at most. One that is slow gives up its turn after a while.
"""

import gzip
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from itertools import islice
from typing import IO, Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import background, stored_secrets
from innkeeper.actions.audiences import webhooks
from innkeeper.actions.audiences.audience_exports import fetch
from innkeeper.actions.audiences.workspace_share import workspace_slot
from innkeeper.resources.base import Record
from innkeeper.rules.spreadsheets import MAPPING, MAPPING_SUFFIX
from innkeeper.settings import Settings
from innkeeper.store.destinations import BadDestination, Destination, destination_of
from innkeeper.store.external_calls import outside, within
from innkeeper.store.files import Files
from innkeeper.store.work import Lend

FAILING_SLOTS: Final = 16
"""How many of the slots of `workspace_share` go to destinations that did not take the last one:
fewer than a workspace that is alone has."""
POST_SECONDS: Final = 30.0
"""How long one request may take, from the look-up of the name to the status of the response."""
BATCH: Final = 500
"""Records in one request; the next waits for its answer."""
ATTEMPTS: Final = 20
FIRST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(hours=1)
TURN_SECONDS: Final = 60.0
"""How long a delivery that goes well keeps its slot; it goes on once others had theirs."""
STILL_SECONDS: Final = 60.0
"""After how long without a byte copied an attempt has failed."""
_SOON: Final = timedelta(seconds=2)

_failing: set[UUID] = set()
"""Executions that this process is delivering to destinations that did not take the last one."""


@dataclass
class _Delivery:
    """One attempt to deliver what is left of an execution."""

    lend: Lend
    settings: Settings
    export: Record
    execution: UUID
    shape: Record
    """How its files were written."""
    started: float = field(default_factory=time.monotonic)

    @property
    def is_turn_over(self) -> bool:
        return time.monotonic() - self.started > TURN_SECONDS


class _TurnEnded(Exception):
    """It goes well, and others wait."""


async def deliver(lend: Lend, execution: UUID) -> datetime | None:
    """Deliver what has not been; when to go on, or None: it is delivered, or given up."""
    async with lend() as work:
        found = await work.one("exports.find_execution", parts=_EXECUTION, ref=execution)
        if found is None or found["delivered_at"] is not None:
            return None
        row = await fetch(work, found["export_ref"])
        if row["destination"] is None:
            return None
        files = await work.all("exports.files", execution=execution)
        known = await work.one("exports.failing", url=row["destination"]["url"])
        delivery = _Delivery(lend, work.settings, row, execution, found["shape"])
    failing = bool(known and known["failing"])
    with (
        _failing_slot(execution, failing=failing) as free,
        workspace_slot(work.workspace) as has_share,
    ):
        if not (free and has_share):
            return clock.now() + _SOON
        try:
            error = await _deliver_files(delivery, files)
        except _TurnEnded:
            return clock.now() + _SOON
    return await _record_attempt(lend, found, error)


@contextmanager
def _failing_slot(execution: UUID, *, failing: bool) -> Iterator[bool]:
    """Whether there is a slot for it; those of destinations that answer are never all taken."""
    if not failing:
        yield True
    elif len(_failing) >= FAILING_SLOTS:
        yield False
    else:
        _failing.add(execution)
        try:
            yield True
        finally:
            _failing.discard(execution)


async def _deliver_files(delivery: _Delivery, files: list[Record]) -> str | None:
    """Deliver one file after the other; what was wrong, or None."""
    for file in files:
        try:
            error = await _deliver_file(delivery, file)
        except _TurnEnded:
            raise
        except Exception as fault:
            error = background.operator_message(fault)
        if error is not None:
            return error[:500]
    return None


async def _record_attempt(lend: Lend, found: Record, error: str | None) -> datetime | None:
    """Note how an attempt ended; when the next one is."""
    attempts = found["delivery_attempts"] + 1
    again = None
    if error and attempts < ATTEMPTS:
        again = clock.now() + background.pause(attempts, FIRST_PAUSE, LONGEST_PAUSE)
    async with lend() as work:
        await work.run(
            "exports.delivered",
            ref=found["ref"],
            delivered_at=None if error else clock.now(),
            error=error,
            next_at=again,
        )
    return again


async def _deliver_file(delivery: _Delivery, file: Record) -> str | None:
    """Deliver one file; what was wrong, or None."""
    if file["delivered"] >= max(file["rows"], 1):
        return None
    files, export = Files.of(delivery.settings), delivery.export
    destination = export["destination"]
    if destination["type"] == "FOLDER":
        try:
            place = destination_of(delivery.settings, destination["url"])
        except BadDestination as bad:
            return f"the destination {bad}"
        folders = (export["friendly_id"], str(delivery.execution))
        marked = bool(delivery.shape.get("guarded"))
        copy = _Copy(files, file["name"], place, folders, marked)
        await within(STILL_SECONDS, destination["url"], copy.run, moved=lambda: copy.last_copied)
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
        # The same for a batch that is sent again: a receiver tells a repeat by it.
        "Idempotency-Key": f"{delivery.execution}-{file['number']}-{done}",
        "X-Innkeeper-Export": export["friendly_id"],
        "X-Innkeeper-Action": file["delta_action"] or "full",
    }
    url = export["destination"]["url"]
    return await webhooks.post(delivery.settings, url, body, headers, POST_SECONDS)


async def _record_progress(delivery: _Delivery, file: Record, delivered: int) -> str | None:
    """Note how far it is; that another file is in its place now, which is delivered later."""
    async with delivery.lend() as work:
        noted = await work.run(
            "exports.delivering",
            execution=delivery.execution,
            number=file["number"],
            name=file["name"],
            delivered=delivered,
        )
    return None if noted else "somebody was erased meanwhile"


def _lines(files: Files, name: str, skip: int) -> Iterator[bytes]:
    with files.open(name) as source, gzip.open(source) as lines:
        yield from islice(lines, skip, None)


@dataclass
class _Copy:
    """Copies a file whole; a repeat writes the same again."""

    files: Files
    name: str
    target: Destination
    folders: tuple[str, ...]
    is_guarded: bool
    last_copied: float = field(default_factory=time.monotonic)
    """When something was copied last."""

    def run(self) -> None:
        name = self.name.rpartition("/")[2]
        with self.files.open(self.name) as source:
            self.target.copy(_TrackedReader(source, self), self.folders, name)
        if self.is_guarded:
            mapping = BytesIO(MAPPING.format(entity="guests").encode())
            self.target.copy(mapping, self.folders, name + MAPPING_SUFFIX)


@dataclass
class _TrackedReader:
    """A file that tells when it is read."""

    source: IO[bytes]
    copy: _Copy

    def read(self, size: int = -1) -> bytes:
        """Some bytes of it."""
        self.copy.last_copied = time.monotonic()
        return self.source.read(size)


_EXECUTION: Final[dict[str, Any]] = {"execution": ("exports.execution",)}
