"""Chunks of records into the store: each record succeeds or fails alone, in the file's order.

A chunk is one transaction. Records of a kind that stand together are written together; if the
database refuses a chunk for a reason that was not foreseen, it is halved until the record that
causes it stands alone.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import psycopg

from innkeeper.actions.bulk import event_batch, guest_records, order_records, removals
from innkeeper.actions.bulk.guest_batch import GuestBatch, RecordSource
from innkeeper.actions.bulk.outcomes import Outcomes
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

CHUNK: Final = 1000
"""Records in one transaction, unless they have more identifiers than it may lock."""

log = logging.getLogger(__name__)

Keep = Callable[[Outcomes, Sequence[BatchRecord]], Awaitable[object]]
"""Notes what some records of a chunk did, in the transaction that did it."""


class ChunkAborted(Exception):
    """Raised by `Keep`: nothing of this chunk may be applied, alone or together."""


async def apply(
    work: Work, entries: Sequence[BatchRecord], source: RecordSource, keep: Keep
) -> None:
    """Carry out records and note it; call it outside a transaction.

    Raises what stops all of it: `Unavailable`, and `Stopped` of `keep`.
    """
    for events, several in groupby(entries, key=lambda entry: isinstance(entry.what, EventRecord)):
        part = list(several)
        if events:
            await _record_events(work, part, keep, rehearse=source.rehearse)
        else:
            await _apply(work, part, source, keep)


async def _record_events(
    work: Work, entries: Sequence[BatchRecord], keep: Keep, *, rehearse: bool
) -> None:
    outcomes = Outcomes()
    told = [(entry, entry.what) for entry in entries if isinstance(entry.what, EventRecord)]
    await event_batch.write(work, outcomes, told, rehearse=rehearse)
    async with work.transaction():
        await keep(outcomes, entries)


async def _apply(
    work: Work, entries: Sequence[BatchRecord], source: RecordSource, keep: Keep
) -> None:
    async def once() -> None:
        async with work.transaction():
            begun = await work.one("batches.begin_chunk")
            assert begun is not None  # noqa: S101 - a workspace has identity settings
            outcomes = Outcomes()
            await _in_runs(work, entries, source, outcomes, begun["version"])
            await keep(outcomes, entries)

    try:
        await retrying(once)
    except Unavailable as error:
        if len(entries) == 1 or not isinstance(error.__cause__, psycopg.errors.OutOfMemory):
            raise
        await _halved(work, entries, source, keep)
    except ChunkAborted:
        raise
    except Exception as error:
        if len(entries) > 1:
            log.warning("a chunk of %d records is halved: %s", len(entries), type(error).__name__)
            await _halved(work, entries, source, keep)
            return
        # Where it happened, but not the message: that may quote the record.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("line %d failed: %s\n%s", entries[0].line, type(error).__name__, where)
        await _refused(work, entries[0], keep)


async def _halved(
    work: Work, entries: Sequence[BatchRecord], source: RecordSource, keep: Keep
) -> None:
    middle = len(entries) // 2
    await _apply(work, entries[:middle], source, keep)
    await _apply(work, entries[middle:], source, keep)


async def _refused(work: Work, entry: BatchRecord, keep: Keep) -> None:
    outcomes = Outcomes()
    outcomes.fail(entry, rules.INTERNAL)
    async with work.transaction():
        await keep(outcomes, [entry])


async def _in_runs(
    work: Work,
    entries: Sequence[BatchRecord],
    source: RecordSource,
    outcomes: Outcomes,
    version: UUID,
) -> None:
    for kind, run in _runs(entries):
        if kind is RecordError:
            for entry, fault in run:
                outcomes.fail(entry, fault)
        elif kind is OrderDelete:
            await removals.delete_orders(work, outcomes, run)
        else:
            await GUEST_WRITERS[kind](await GuestBatch.of(work, source, version), outcomes, run)


GUEST_WRITERS: Final[dict[type, Callable[[GuestBatch, Outcomes, Any], Awaitable[None]]]] = {
    GuestWrite: guest_records.write,
    OrderWrite: order_records.write,
    GuestDelete: removals.delete_guests,
    GuestMigration: removals.migrate,
}
"""What carries out records of a kind."""


def _runs(entries: Sequence[BatchRecord]) -> Iterator[tuple[type, list[tuple[BatchRecord, Any]]]]:
    """Records of one kind that follow each other; bad ones stand apart from all."""
    faults = [(entry, entry.what) for entry in entries if isinstance(entry.what, RecordError)]
    if faults:
        yield RecordError, faults
    sound = (entry for entry in entries if not isinstance(entry.what, RecordError))
    for kind, run in groupby(sound, key=lambda entry: type(entry.what)):
        yield kind, [(entry, entry.what) for entry in run]
