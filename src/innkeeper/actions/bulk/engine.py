"""Apply chunks of records: each record succeeds or fails by itself, in file order.

A chunk is one transaction. Consecutive records of one kind are written together. If a chunk fails
with an unexpected error, it is halved until the record that causes the error is alone.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import psycopg

from innkeeper.actions.bulk import event_batch, guest_records, order_records, removals
from innkeeper.actions.bulk.creation_writer import write_creations
from innkeeper.actions.bulk.guest_batch import GuestBatch
from innkeeper.actions.bulk.guest_state import RecordSource
from innkeeper.actions.bulk.import_changes import recorded, unrecorded
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.bulk.packed_records import PackedRecords
from innkeeper.actions.identity import rulebook
from innkeeper.errors import Unavailable
from innkeeper.rules import batch as rules
from innkeeper.rules.batch import (
    BatchRecord,
    EventRecord,
    GuestDelete,
    GuestMigration,
    GuestWrite,
    OrderDelete,
    OrderWrite,
    RecordError,
)
from innkeeper.store.database import retrying
from innkeeper.store.work import Work

log = logging.getLogger(__name__)

RecordProgress = Callable[[Outcomes, Sequence[BatchRecord]], Awaitable[object]]
"""Callback that stores the outcomes of some records, in the transaction that applies them."""


class ChunkAborted(Exception):
    """Raised by a `RecordProgress`: no record of this chunk may be applied."""


async def apply(
    work: Work,
    entries: Sequence[BatchRecord],
    source: RecordSource,
    record_progress: RecordProgress,
) -> None:
    """Apply records and store their progress. Call it outside a transaction.

    Raises `Unavailable`, and `ChunkAborted` of `record_progress`. Errors of single records are
    outcomes.
    """
    if isinstance(entries, PackedRecords) and entries.creations is not None:
        await _apply(work, entries, source, record_progress)
        return
    for events, several in groupby(entries, key=lambda entry: isinstance(entry.what, EventRecord)):
        part = list(several)
        if events:
            await _apply_events(work, part, source, record_progress)
        else:
            await _apply(work, part, source, record_progress)


async def _apply_events(
    work: Work,
    entries: Sequence[BatchRecord],
    source: RecordSource,
    record_progress: RecordProgress,
) -> None:
    """Apply event records, each in a transaction of its own."""
    outcomes = Outcomes()
    events = [(entry, entry.what) for entry in entries if isinstance(entry.what, EventRecord)]
    await event_batch.write(work, outcomes, events, source)
    async with work.transaction():
        await record_progress(outcomes, entries)


async def _apply(
    work: Work,
    entries: Sequence[BatchRecord],
    source: RecordSource,
    record_progress: RecordProgress,
) -> None:
    """Apply other records in one transaction; halve the chunk after an unexpected error."""

    async def once() -> None:
        async with work.transaction():
            settings = await work.row("batches.start_chunk")
            outcomes = Outcomes()
            async with recorded(work, source.recording):
                await _apply_runs(work, entries, source, outcomes, settings["version"])
            await record_progress(outcomes, entries)

    try:
        await retrying(once)
    except Unavailable as error:
        if len(entries) == 1 or not isinstance(error.__cause__, psycopg.errors.OutOfMemory):
            raise
        await _apply_halves(work, entries, source, record_progress)
    except ChunkAborted:
        raise
    except Exception as error:
        if len(entries) > 1:
            log.warning("a chunk of %d records is halved: %s", len(entries), type(error).__name__)
            await _apply_halves(work, entries, source, record_progress)
            return
        # Log the traceback without the error's message, which may quote the record.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("line %d failed: %s\n%s", entries[0].line, type(error).__name__, where)
        await _fail_record(work, entries[0], record_progress)


async def _apply_halves(
    work: Work,
    entries: Sequence[BatchRecord],
    source: RecordSource,
    record_progress: RecordProgress,
) -> None:
    """Apply each half of a chunk in a transaction of its own."""
    middle = len(entries) // 2
    await _apply(work, entries[:middle], source, record_progress)
    await _apply(work, entries[middle:], source, record_progress)


async def _fail_record(work: Work, entry: BatchRecord, record_progress: RecordProgress) -> None:
    """Store that a record failed with an internal error."""
    outcomes = Outcomes()
    outcomes.fail(entry, rules.INTERNAL)
    async with work.transaction():
        await record_progress(outcomes, [entry])


async def _apply_runs(
    work: Work,
    entries: Sequence[BatchRecord],
    source: RecordSource,
    outcomes: Outcomes,
    version: UUID,
) -> None:
    """Apply records: those that create first, others by runs of one kind with a guest batch."""
    book = await rulebook.of_version(work, version)
    if not source.dry_run and source.recording is None:
        entries = await write_creations(work, entries, source, book, outcomes)
    for kind, run in _runs(entries):
        if kind is RecordError:
            for entry, fault in run:
                outcomes.fail(entry, fault)
        elif kind is OrderDelete:
            async with unrecorded(work, source.recording):
                await removals.delete_orders(work, outcomes, run)
        else:
            guest_batch = GuestBatch(work, book, source)
            is_write = kind in (GuestWrite, OrderWrite)
            async with unrecorded(work, None if is_write else source.recording):
                await GUEST_WRITERS[kind](guest_batch, outcomes, run)
            await guest_batch.changes.flush()


GUEST_WRITERS: Final[dict[type, Callable[[GuestBatch, Outcomes, Any], Awaitable[None]]]] = {
    GuestWrite: guest_records.write,
    OrderWrite: order_records.write,
    GuestDelete: removals.delete_guests,
    GuestMigration: removals.migrate,
}
"""The function that applies the records of each kind."""


def _runs(entries: Sequence[BatchRecord]) -> Iterator[tuple[type, list[tuple[BatchRecord, Any]]]]:
    """Yield runs of consecutive records of one kind, after one run of all invalid records."""
    faults = [(entry, entry.what) for entry in entries if isinstance(entry.what, RecordError)]
    if faults:
        yield RecordError, faults
    valid = (entry for entry in entries if not isinstance(entry.what, RecordError))
    for kind, run in groupby(valid, key=lambda entry: type(entry.what)):
        yield kind, [(entry, entry.what) for entry in run]
