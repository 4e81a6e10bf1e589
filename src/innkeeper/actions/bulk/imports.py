"""Imports from files: begun or gone on with, applied, rehearsed (the engine is that of batches)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.actions.admin.background import operator_message
from innkeeper.actions.bulk import batches, engine
from innkeeper.actions.bulk.batches import Holds
from innkeeper.actions.bulk.guest_batch import RecordSource
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.errors import Conflict, OperatorError
from innkeeper.resources.base import Record
from innkeeper.rules.audited import IMPORT
from innkeeper.rules.batch import BatchRecord
from innkeeper.rules.versions import Expected, expect
from innkeeper.store.driver_errors import may_pass
from innkeeper.store.readers import Chunk, Unreadable
from innkeeper.store.work import Json, Row, Work

SINGULAR: Final = "Import"
DISCARDED: Final = "given up"
"""The fault of an import that was discarded before it was started."""
_REHEARSAL: Final = "rehearsal"
Told = Callable[[Outcomes, Sequence[BatchRecord]], Awaitable[object]]
"""Told of what some records did."""


async def create(
    work: Work,
    holds: Holds,
    about: dict[str, Any],
    checksum: str | None,
    size: int | None,
    *,
    rehearsal: bool = False,
    ref: UUID | None = None,
) -> Record:
    """An import that waits for its file to be uploaded, or to be started; a `rehearsal` will
    change nothing."""
    if rehearsal:
        about = {**about, _REHEARSAL: True}
    async with work.transaction():
        row = await batches.allocate(
            work, ref or uuid4(), holds=holds, checksum=checksum, size=size, about=about
        )
        await audit.record(work, IMPORT, "create", None, row)
    return row


async def start(
    work: Work, ref: UUID, about: dict[str, Any], expected: Expected | None = None
) -> Record:
    """Queue an import whose file is stored already, read as `about` says.

    Raises `Conflict` for one that was started or discarded, and `Outdated` where the caller
    expects another version.
    """
    async with work.transaction():
        before = await _pending(work, ref, expected)
        described = await describe(work, ref, about)
        sent = {"checksum": before["checksum"], "size": before["size"]}
        after = await batches.received(work, ref, **sent)
        await audit.record(work, IMPORT, "start", before, {**after, "about": described["about"]})
    return after


async def discard(work: Work, ref: UUID, expected: Expected | None = None) -> None:
    """End an import that was not started; its file is the caller's to remove. Raises as `start`."""
    async with work.transaction():
        before = await _pending(work, ref, expected)
        after = await batches.move(work, ref, batches.ERROR, fault=DISCARDED)
        await audit.record(work, IMPORT, "discard", before, after)


async def _pending(work: Work, ref: UUID, expected: Expected | None) -> Record:
    """A locked import that was neither started nor discarded."""
    row = await batches.held(work, ref)
    expect(expected, row)
    if row["state"] != batches.UPLOADING:
        raise Conflict(f"Import {ref} was begun already.")
    return row


def is_rehearsal(batch: Row) -> bool:
    """Whether an import only tells what it would do."""
    return bool(batch["about"].get(_REHEARSAL))


@asynccontextmanager
async def begun(
    work: Work, holds: Holds, source: Any, about: dict[str, Any], *, again: bool = False
) -> AsyncIterator[Row]:
    """An import of a file at hand: one of the same file that was interrupted, to go on with, unless
    `again`. Raises `Conflict` when somebody is at it. One whose file cannot be read has failed."""
    if again and source is not None:
        await batches.abandon(work, holds, source)
    async with work.transaction():
        row = await batches.begin(work, uuid4(), holds=holds, source=source, about=about)
        await audit.record(work, IMPORT, "start", None, row)
    if not await batches.claim(work, row["ref"]):
        raise Conflict("This file is being imported already.")
    try:
        yield await batches.fetch(work, row["ref"])
    except Exception as fault:
        if not may_pass(fault):
            await batches.move(work, row["ref"], batches.ERROR, fault=reason(fault))
        raise
    finally:
        if not work.connection.closed:
            await batches.let_go(work, row["ref"])


def reason(fault: Exception) -> str:
    """Why an import ended before its file did, for who sent the file."""
    if isinstance(fault, Unreadable):
        return f"The file cannot be read: {fault}."
    if isinstance(fault, OperatorError):
        return str(fault)
    if isinstance(fault, FileNotFoundError):
        return "The file is not in storage any more: send it again."
    return f"A record cannot be imported ({operator_message(fault)}). See the server's log."


async def apply(
    work: Work,
    batch: Row,
    chunks: AsyncIterator[Chunk[BatchRecord]],
    progress: Callable[[Row], None],
) -> Record:
    """Apply the records of a begun import from where it stopped, to the end of the file.

    `progress` learns how far it is after each chunk.
    """
    source = RecordSource("import", batch["ref"])
    async for chunk in chunks:
        progress(await batches.apply_chunk(work, batch, source, chunk.items))
    return await batches.finish(work, batch["ref"])


async def rehearse(work: Work, chunks: AsyncIterator[Chunk[BatchRecord]], told: Told) -> None:
    """Find out what an import would do, record by record, and do nothing of it.

    A record sees what those before it would have done, in tables of this connection alone.
    """
    source = RecordSource("rehearsal", rehearse=True)
    for table in ("", "_keys", "_extensions", "_orders", "_orders_index"):
        await work.run(f"rehearsal.begin{table}")
    try:
        async for chunk in chunks:
            await engine.apply(work, chunk.items, source, told)
    finally:
        await work.run("rehearsal.end")


async def rehearse_upload(
    work: Work, batch: Row, chunks: AsyncIterator[Chunk[BatchRecord]]
) -> None:
    """Rehearse a claimed import from its first record, and note what would have become of each."""
    await batches.begin_again(work, batch["ref"])
    await rehearse(work, chunks, partial(batches.note, work, batch))


async def describe(work: Work, ref: UUID, about: dict[str, Any]) -> Record:
    """Tell how the file of an import is made before it is applied; raises `Conflict` after."""
    row = await work.one(
        "batches.describe",
        parts={"columns": ("batches.columns",)},
        ref=ref,
        about=Json(about),
        now=clock.now(),
    )
    if row is None:
        raise Conflict(f"Import {ref} was begun already.")
    return row


async def fetch(work: Work, ref: UUID) -> Record:
    """One import; raises `Unknown`."""
    row = await batches.fetch(work, ref)
    if row["holds"] == "batch":
        raise batches.unknown(ref)
    return row
