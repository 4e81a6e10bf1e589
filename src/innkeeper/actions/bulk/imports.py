"""Imports from files: start or continue, apply, dry run. Batches and imports share one engine."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper.actions.admin import audit
from innkeeper.actions.admin.background import operator_message
from innkeeper.actions.bulk import batches, command_imports, engine
from innkeeper.actions.bulk.batches import Holds
from innkeeper.actions.bulk.guest_state import RecordSource
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.errors import Conflict, OperatorError
from innkeeper.resources.base import Record
from innkeeper.resources.orders import PLAIN_CHILDREN
from innkeeper.rules.audited import IMPORT
from innkeeper.rules.batch import BatchRecord
from innkeeper.rules.versions import Expected, expect
from innkeeper.store.driver_errors import may_pass
from innkeeper.store.readers import Chunk, Unreadable
from innkeeper.store.work import Json, Row, Work

DISCARDED: Final = "discarded"
"""The fault of an import that was discarded before it was started."""
_DRY_RUN: Final = "rehearsal"
"""Member of a stored import's `file_options` that marks a dry run."""
RecordProgress = Callable[[Outcomes, Sequence[BatchRecord]], Awaitable[object]]
"""Callback with the outcomes of some records."""


async def create(
    work: Work,
    entity: Holds,
    file_options: dict[str, Any],
    checksum: str | None,
    size: int | None,
    *,
    dry_run: bool = False,
    ref: UUID | None = None,
) -> Record:
    """Create an import that waits for its file, or to be started. A `dry_run` changes no data."""
    if dry_run:
        file_options = {**file_options, _DRY_RUN: True}
    async with work.transaction():
        row = await batches.allocate(
            work,
            ref or uuid4(),
            entity=entity,
            checksum=checksum,
            size=size,
            file_options=file_options,
        )
        await audit.record(work, IMPORT, "create", None, row)
    return row


async def start(
    work: Work, ref: UUID, file_options: dict[str, Any], expected: Expected | None = None
) -> Record:
    """Queue an import whose file is stored. `file_options` describes the file's layout.

    Raises `Conflict` if it was started or discarded, and `Outdated` if it does not have the
    `expected` version.
    """
    async with work.transaction():
        before = await _pending(work, ref, expected)
        described = await describe(work, ref, file_options)
        file = {"checksum": before["checksum"], "size": before["size"]}
        after = await batches.receive_file(work, ref, **file)
        await audit.record(
            work, IMPORT, "start", before, {**after, "file_options": described["file_options"]}
        )
    return after


async def discard(work: Work, ref: UUID, expected: Expected | None = None) -> None:
    """End an import that was not started. The caller deletes its file. Raises as `start` does."""
    async with work.transaction():
        before = await _pending(work, ref, expected)
        after = await batches.set_state(work, ref, batches.ERROR, fault=DISCARDED)
        await audit.record(work, IMPORT, "discard", before, after)


async def _pending(work: Work, ref: UUID, expected: Expected | None) -> Record:
    """Lock and return an import that was neither started nor discarded.

    Raises `Conflict`, `Outdated` and `Unknown`.
    """
    row = await batches.lock_batch(work, ref)
    expect(expected, row)
    if row["state"] != batches.UPLOADING:
        raise Conflict(f"Import {ref} was started already.")
    return row


def is_dry_run(batch: Row) -> bool:
    """Return whether an import is a dry run: it only reports what it would do."""
    return bool(batch["file_options"].get(_DRY_RUN))


@asynccontextmanager
async def start_local(
    work: Work, entity: Holds, source: Any, file_options: dict[str, Any], *, again: bool = False
) -> AsyncIterator[Row]:
    """Lock the import of a local file: a new one, or the interrupted one of the same file.

    `again` starts the file from its beginning. Raises `Conflict` if the file is being imported. An
    error inside the context finishes the import as failed, unless the error is transient.
    """
    if again and source is not None:
        await command_imports.abandon(work, entity, source)
    async with work.transaction():
        row = await command_imports.start(
            work, uuid4(), entity=entity, source=source, file_options=file_options
        )
        await audit.record(work, IMPORT, "start", None, row)
    if not await batches.try_lock(work, row["ref"]):
        raise Conflict("This file is being imported already.")
    try:
        yield await batches.fetch(work, row["ref"])
    except Exception as error:
        if not may_pass(error):
            await batches.set_state(work, row["ref"], batches.ERROR, fault=failure_message(error))
        raise
    finally:
        if not work.connection.closed:
            await batches.unlock(work, row["ref"])


def failure_message(error: Exception) -> str:
    """Return the reason why an import ended before the end of its file, for the person who sent
    it."""
    if isinstance(error, Unreadable):
        return f"The file cannot be read: {error}."
    if isinstance(error, OperatorError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "The file is no longer in storage. Upload it again."
    return f"A record cannot be imported ({operator_message(error)}). See the server's log."


async def apply(
    work: Work,
    batch: Row,
    chunks: AsyncIterator[Chunk[BatchRecord]],
    progress: Callable[[Row], None],
) -> Record:
    """Apply the remaining records of a locked import and finish it.

    `progress` is called with the batch after each chunk.
    """
    source = batches.source_of(batch)
    async for chunk in chunks:
        progress(await batches.apply_chunk(work, batch, source, chunk.items))
    return await batches.finish(work, batch["ref"])


async def dry_run(
    work: Work, chunks: AsyncIterator[Chunk[BatchRecord]], record_progress: RecordProgress
) -> None:
    """Report what an import would do, record by record, without storing data.

    A record sees the changes of earlier records, in temporary tables of this connection.
    """
    source = RecordSource("dry run", uuid4(), dry_run=True)
    await _drop_tables(work)
    await work.run("dry_run.create_tables")
    for child in PLAIN_CHILDREN:
        await work.run(f"{child.table}.create_for_dry_run")
    try:
        async for chunk in chunks:
            await engine.apply(work, chunk.items, source, record_progress)
    finally:
        await _drop_tables(work)


async def _drop_tables(work: Work) -> None:
    """Drop the tables of a dry run, if there are any."""
    await work.run("dry_run.drop_tables")
    for child in PLAIN_CHILDREN:
        await work.run(f"{child.table}.drop_for_dry_run")


async def dry_run_upload(work: Work, batch: Row, chunks: AsyncIterator[Chunk[BatchRecord]]) -> None:
    """Dry-run a locked import from its first record, and store the outcomes."""
    await batches.reset(work, batch["ref"])
    await dry_run(work, chunks, partial(batches.record_progress, work, batch))


async def describe(work: Work, ref: UUID, file_options: dict[str, Any]) -> Record:
    """Store the file layout of an import; raises `Conflict` once it is started."""
    row = await work.one("batches.describe", ref=ref, file_options=Json(file_options))
    if row is None:
        raise Conflict(f"Import {ref} was started already.")
    return row


async def fetch(work: Work, ref: UUID) -> Record:
    """Return one import; raises `Unknown`."""
    row = await batches.fetch(work, ref)
    if row["entity"] == "batch":
        raise batches.unknown_batch(ref)
    return row
