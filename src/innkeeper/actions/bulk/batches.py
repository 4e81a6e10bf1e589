"""Batches and imports: allocate, receive the file, apply, list, report failures (batch-api.md)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import background
from innkeeper.actions.bulk import engine
from innkeeper.actions.bulk.guest_state import RecordSource
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.paging import Page, PageRequest, read_page
from innkeeper.errors import Conflict, Unknown, existing
from innkeeper.resources.base import Record
from innkeeper.rules.batch import BatchRecord
from innkeeper.rules.identity_keys import digest, lock_of
from innkeeper.store.readers import Chunk
from innkeeper.store.work import Json, Lend, Row, Work

Holds = Literal["batch", "guests", "orders", "events", "sitecore"]

EVENTS: Final = "events"
SITECORE: Final = "sitecore"
"""The data lake export of another installation (`transfers`)."""
NOT_UNDONE: Final = "not_undone"

UPLOADING: Final = "uploading"
FILE_UPLOADED: Final = "file_uploaded"
PROCESSING: Final = "processing"
SUCCESS: Final = "success"
CORRUPTED: Final = "corrupted"
ERROR: Final = "error"
STATES: Final = (UPLOADING, FILE_UPLOADED, PROCESSING, SUCCESS, CORRUPTED, ERROR)

TASK: Final = "batches.apply"
"""The background task that applies an uploaded file."""
SINGULAR: Final = "Batch"


class FileRewritten(engine.ChunkAborted):
    """The file was rewritten while it was read: open it again and continue."""


async def allocate(
    work: Work,
    ref: UUID,
    *,
    entity: Holds = "batch",
    checksum: str | None = None,
    size: int | None = None,
    file_options: dict[str, Any] | None = None,
) -> Record:
    """Create a batch that waits for its file, or return the one created for the same file.

    Raises `Conflict` if the ref belongs to another file, or if its file is uploaded already.
    """
    row = await insert(
        work, ref, entity, UPLOADING, file_options or {}, checksum=checksum, size=size
    )
    if row is not None:
        return row
    stored = await fetch(work, ref)
    is_same_file = (stored["checksum"], stored["size"], stored["entity"]) == (
        checksum,
        size,
        entity,
    )
    if stored["state"] != UPLOADING or not is_same_file:
        raise Conflict(f"Batch {ref} already exists.")
    return stored


async def insert(
    work: Work,
    ref: UUID,
    entity: Holds,
    state: str,
    file_options: dict[str, Any],
    *,
    checksum: str | None = None,
    size: int | None = None,
    source_key: UUID | None = None,
) -> Row | None:
    """Create a batch or import; None if the ref is in use."""
    return await work.one(
        "batches.allocate",
        ref=ref,
        entity=entity,
        state=state,
        checksum=checksum,
        size=size,
        file_options=Json(file_options),
        source_key=source_key,
        undo=Json({}) if work.settings.undo_days else None,
    )


async def fetch(work: Work, batch: UUID) -> Record:
    """Return one batch or import; raises `Unknown`."""
    return existing(await work.one("batches.fetch", ref=batch), SINGULAR, batch)


async def list_(
    work: Work,
    page_request: PageRequest,
    *,
    envelopes: bool = True,
    states: Sequence[str] = (),
    after: datetime | None = None,
    before: datetime | None = None,
) -> Page:
    """Return a page of batches, newest first, within the retention period.

    `envelopes`: batches if true, else imports. `after` and `before` limit the creation time.
    """
    now = clock.now()
    oldest = now - timedelta(days=work.settings.batch_days)
    return await read_page(
        work,
        "batches.list",
        page_request,
        envelopes=envelopes,
        states=list(states) or None,
        after=max(oldest, after) if after else oldest,
        before=before or now + timedelta(days=1),
    )


async def receive_file(work: Work, batch: UUID, *, checksum: str, size: int) -> Record:
    """Accept the uploaded file of a batch, stored under `upload_name`, and queue the batch.

    A file that differs from the declared checksum or size makes the batch `corrupted` (batch-api.md
    11). A second call with the same file changes nothing; raises `Conflict` for another file.
    """
    async with work.transaction():
        row = await lock_batch(work, batch)
        if row["state"] != UPLOADING:
            if (row["checksum"], row["size"]) == (checksum, size):
                return row
            raise Conflict(f"Batch {batch} was uploaded already.")
        expected = (row["checksum"] or checksum, row["size"] or size)
        if expected != (checksum, size):
            return await set_state(work, batch, CORRUPTED, fault="checksum or size differ")
        uploaded = await set_state(work, batch, FILE_UPLOADED, has_file=True)
        await background.defer(work, TASK, batch=str(batch))
        return uploaded


async def set_state(
    work: Work, batch: UUID, state: str, *, has_file: bool = False, fault: str | None = None
) -> Record:
    """Set the state of a batch and return it; raises `Unknown`.

    `has_file`: its file stays stored. `fault`: why it failed, for the caller.
    """
    row = await work.one(
        "batches.set_state",
        ref=batch,
        state=state,
        has_file=has_file,
        fault=fault,
        finished=state in (SUCCESS, CORRUPTED, ERROR),
    )
    return existing(row, SINGULAR, batch)


async def record_fault(work: Work, batch: UUID, fault: str) -> None:
    """Store why a batch cannot continue for now; it is retried."""
    await work.run("batches.set_fault", ref=batch, fault=fault)


async def try_lock(work: Work, batch: UUID) -> bool:
    """Try to lock a batch for this connection; return whether it succeeded.

    The lock ends with `unlock`, or with the connection.
    """
    row = await work.one("batches.try_lock", lock=_lock_id(batch))
    is_locked = bool(row and row["is_locked"])
    work.session_held += is_locked
    return is_locked


async def unlock(work: Work, batch: UUID) -> None:
    """Unlock a batch for other connections."""
    work.session_held -= 1
    await work.one("batches.unlock", lock=_lock_id(batch))


async def apply(work: Work, batch: Row, chunks: AsyncIterator[Chunk[BatchRecord]]) -> None:
    """Apply the records of a locked batch. `chunks` start after its stored progress.

    Each chunk is one transaction that also stores its progress, so an interruption leaves the
    stored progress exact. Raises `FileRewritten` if the file was rewritten since it was opened.
    """
    source = source_of(batch)
    async for chunk in chunks:
        await apply_chunk(work, batch, source, chunk.items)


def source_of(batch: Row) -> RecordSource:
    """Return the source of the records of a batch or import."""
    name = "batch" if batch["entity"] == "batch" else "import"
    by_rows, is_recorded = is_recorded_by_rows(batch), batch["undo"] is not None
    return RecordSource(
        name,
        batch["ref"],
        is_recorded=is_recorded and not by_rows,
        records_rows=is_recorded and by_rows,
    )


def is_recorded_by_rows(batch: Row) -> bool:
    """Return whether what a batch or import changes is recorded row by row (`event_undo`)."""
    return batch["entity"] in (EVENTS, SITECORE) or bool(batch["file_options"].get(EVENTS))


async def mark_with_events(work: Work, batch: UUID) -> Record:
    """Store, before the first record of a batch or import, that it has events among others."""
    return await _add_options(work, batch, {EVENTS: True})


async def mark_not_undone(work: Work, batch: UUID, counts: Mapping[str, int]) -> Record:
    """Store what an import changes besides records, which its undo leaves: kind -> number."""
    return await _add_options(work, batch, {NOT_UNDONE: dict(counts)})


async def _add_options(work: Work, batch: UUID, options: dict[str, Any]) -> Record:
    row = await work.one("batches.add_options", ref=batch, options=Json(options))
    return existing(row, SINGULAR, batch)


async def record_counts(
    work: Work, batch: Row, outcomes: Mapping[str, int], failed: int, left_out: Mapping[str, int]
) -> Row:
    """Add counts to a locked import whose records have no outcomes of their own; return it."""
    records = sum(outcomes.values()) + failed
    row = await work.one(
        "batches.progress",
        ref=batch["ref"],
        revision=batch["revision"],
        first=batch["line"] + 1,
        line=batch["line"] + max(records, 1),
        records=records,
        failed=failed,
        outcomes=Json(dict(outcomes)),
        left_out=Json(dict(left_out)),
    )
    return existing(row, SINGULAR, batch["ref"])


async def apply_chunk(
    work: Work, batch: Row, source: RecordSource, entries: Sequence[BatchRecord]
) -> Record:
    """Apply some records, store the progress, and return the updated batch."""
    updated = batch

    async def store(outcomes: Outcomes, applied: Sequence[BatchRecord]) -> None:
        nonlocal updated
        updated = await record_progress(work, batch, outcomes, applied)

    await engine.apply(work, entries, source, store)
    return updated


async def record_progress(
    work: Work, batch: Row, outcomes: Outcomes, applied: Sequence[BatchRecord]
) -> Record:
    """Store the outcomes of some records, in the transaction that applies them.

    Returns the updated batch; raises `FileRewritten`.
    """
    row = await work.one(
        "batches.progress",
        ref=batch["ref"],
        revision=batch["revision"],
        first=applied[0].line,
        line=applied[-1].line,
        records=len(applied),
        failed=len(outcomes.failures),
        outcomes=Json(dict(outcomes.outcomes)),
        left_out=Json(dict(outcomes.count_left_out(applied))),
    )
    if row is None:
        raise FileRewritten
    if outcomes.failures:
        failed = (
            (row["ref"], one.line, one.ref, one.fault.code, one.fault.message, [*one.fault.errors])
            for one in outcomes.failures
        )
        await work.copy_in("batches.copy_failures", failed)
    return row


async def reset(work: Work, batch: UUID) -> None:
    """Delete the stored progress: an interrupted dry run starts again, since it stored no data."""
    async with work.transaction():
        await work.run("batches.delete_failures", ref=batch)
        await work.run("batches.reset", ref=batch)


async def finish(work: Work, batch: UUID) -> Record:
    """Finish a batch whose records are all applied: `error` if some failed, else `success`."""
    async with work.transaction():
        row = await lock_batch(work, batch)
        state = ERROR if row["failed"] else SUCCESS
        return await set_state(work, batch, state, has_file=row["is_stored"])


async def failures(work: Work, batch: UUID, page: int = 1000) -> AsyncIterator[Row]:
    """Yield the records that failed, by line: `line`, `ref`, `code`, `message`, `errors`."""
    async for row in stream_failures(lambda: nullcontext(work), batch, page):
        yield row


async def stream_failures(lend: Lend, batch: UUID, page: int = 1000) -> AsyncIterator[Row]:
    """Yield the same for a slow consumer: a connection is held only while a page is read."""
    after = 0
    while True:
        async with lend() as work:
            rows = await work.all("batches.failures", ref=batch, after=after, limit=page)
        for row in rows:
            yield row
        if len(rows) < page:
            return
        after = rows[-1]["line"]


async def mark_rewritten(work: Work, batch: UUID) -> None:
    """Store that the file of a locked batch was rewritten: its reader must open it again."""
    await work.run("batches.rewritten", ref=batch)


async def list_unfinished(work: Work) -> list[UUID]:
    """List the uploaded batches that are not applied completely."""
    return [row["ref"] for row in await work.all("batches.unfinished")]


async def list_stored(work: Work) -> list[UUID]:
    """List the unfinished batches whose file is stored, also imports that were not started."""
    return [row["ref"] for row in await work.all("batches.stored")]


async def list_expired(work: Work) -> list[Row]:
    """List the batches older than the retention period: `ref`, `is_stored` (its file)."""
    before = clock.now() - timedelta(days=work.settings.batch_days)
    return await work.all("batches.expired", before=before)


async def delete(work: Work, batch: UUID) -> None:
    """Delete a batch with its failures."""
    await work.run("batches.delete", ref=batch)


def upload_name(workspace: str, batch: UUID) -> str:
    """Return the name under which the file of a batch is stored."""
    return f"{workspace}/uploads/{batch}"


async def lock_batch(work: Work, batch: UUID) -> Record:
    """Lock a batch's row until the transaction ends and return it; raises `Unknown`."""
    return existing(await work.one("batches.lock", ref=batch), SINGULAR, batch)


def _lock_id(batch: UUID) -> int:
    """Return the advisory lock of a batch."""
    return lock_of(digest("batch", str(batch)))


def unknown_batch(batch: UUID) -> Unknown:
    """Return the error of a ref without a batch."""
    return Unknown(SINGULAR, batch)


def rejects_name(workspace: str, batch: UUID) -> str:
    """Return the name under which the refused rows of an import are stored."""
    return f"{workspace}/rejects/{batch}"


async def expect_rejects(work: Work, batch: UUID) -> bool:
    """Store that the refused rows of an import are about to be stored as a file.

    Returns False, and changes nothing, if somebody was erased since the import was created.
    """
    return await work.run("batches.expect_rejects", ref=batch) > 0


async def forget_rejects(work: Work) -> list[UUID]:
    """Store that no import has a file of refused rows any more, and that unfinished ones get none;
    return their refs.

    The caller deletes the files. A job that is writing one deletes it when it sees this.
    """
    return [row["ref"] for row in await work.all("batches.forget_rejects")]


async def mark_file_deleted(work: Work, batch: UUID) -> None:
    """Store that the file of a finished batch is deleted."""
    await work.run("batches.file_deleted", ref=batch)
