"""Batches and imports: allocate, receive, apply, list, and tell what failed (batch-api.md)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import background
from innkeeper.actions.bulk import engine
from innkeeper.actions.bulk.guest_batch import RecordSource
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.paging import Page
from innkeeper.errors import Conflict, Unknown
from innkeeper.resources.base import Record
from innkeeper.rules.batch import BatchRecord
from innkeeper.rules.identity_keys import digest, lock_of
from innkeeper.store.readers import Chunk
from innkeeper.store.work import Json, Lend, Row, Work

Holds = Literal["batch", "guests", "orders", "events"]

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
SILENT: Final = timedelta(minutes=2)
"""After how long without a word an import of a command may have been killed."""
INTERRUPTED: Final = (
    "The command that imported this file ended after line {line}, before the file did. What came "
    "before is imported. Run the same command again: it goes on from there."
)
INTERRUPTED_STREAM: Final = (
    "The command that imported this ended after line {line}, before its input did. What came "
    "before is imported. Run it again from the start: what is imported already stays as it is."
)
_COLUMNS: Final = {"columns": ("batches.columns",)}


class FileRewritten(engine.ChunkAborted):
    """The file was rewritten while it was read: open it again and go on."""


async def allocate(
    work: Work,
    ref: UUID,
    *,
    holds: Holds = "batch",
    checksum: str | None = None,
    size: int | None = None,
    about: dict[str, Any] | None = None,
) -> Record:
    """A batch that waits for its file; asked again for the same file, the same one.

    Raises `Conflict` for a ref that stands for another file, or one that has arrived.
    """
    row = await work.one(
        "batches.allocate",
        parts=_COLUMNS,
        ref=ref,
        holds=holds,
        state=UPLOADING,
        checksum=checksum,
        size=size,
        about=Json(about or {}),
        source_key=None,
        actor=work.actor,
        now=clock.now(),
    )
    if row is not None:
        return row
    known = await fetch(work, ref)
    same = (known["checksum"], known["size"], known["holds"]) == (checksum, size, holds)
    if known["state"] != UPLOADING or not same:
        raise Conflict(f"Batch {ref} already exists.")
    return known


async def begin(work: Work, ref: UUID, *, holds: Holds, source: Any, about: dict[str, Any]) -> Row:
    """An import of a file that its reader has at hand; one that was interrupted goes on.

    `source` is what the file is known by (JSON), None for one that cannot be read again.
    """
    key = _source_key(work, holds, source)
    async with work.transaction():
        row = None
        if key is not None:
            row = await work.one("batches.of_source", parts=_COLUMNS, source_key=key)
        if row is not None and row["finished_at"] is not None:
            row = await work.one("batches.reopen", parts=_COLUMNS, ref=row["ref"], now=clock.now())
        return row or await _processing(work, ref, holds, key, about)


async def abandon(work: Work, holds: Holds, source: Any) -> None:
    """What was begun of a file is not gone on with."""
    key = _source_key(work, holds, source)
    row = await work.one("batches.of_source", parts=_COLUMNS, source_key=key)
    if row is not None:
        await work.run("batches.abandon", ref=row["ref"], now=clock.now())


def _source_key(work: Work, holds: Holds, source: Any) -> UUID | None:
    return None if source is None else digest("import", work.workspace, holds, repr(source))


async def _processing(
    work: Work, ref: UUID, holds: Holds, key: UUID | None, about: dict[str, Any]
) -> Row:
    row = await work.one(
        "batches.allocate",
        parts=_COLUMNS,
        ref=ref,
        holds=holds,
        state=PROCESSING,
        checksum=None,
        size=None,
        about=Json(about),
        source_key=key,
        actor=work.actor,
        now=clock.now(),
    )
    if row is None:
        raise Conflict(f"Import {ref} already exists.")
    return row


async def fetch(work: Work, batch: UUID) -> Record:
    """One batch or import; raises `Unknown`."""
    row = await work.one("batches.fetch", parts=_COLUMNS, ref=batch)
    if row is None:
        raise Unknown(SINGULAR, batch)
    return row


async def list_(
    work: Work,
    *,
    envelopes: bool = True,
    states: Sequence[str] = (),
    after: datetime | None = None,
    before: datetime | None = None,
    limit: int = 100,
    offset: int = 0,
) -> Page:
    """A page of batches (or of imports), newest first, of the days they are remembered."""
    now = clock.now()
    oldest = now - timedelta(days=work.settings.batch_days)
    rows = await work.all(
        "batches.list",
        parts=_COLUMNS,
        envelopes=envelopes,
        states=list(states) or None,
        after=max(oldest, after) if after else oldest,
        before=before or now + timedelta(days=1),
        limit=limit,
        offset=offset,
    )
    return Page(rows, rows[0]["total"] if rows else 0)


async def received(work: Work, batch: UUID, *, checksum: str, size: int) -> Record:
    """The file of a batch has arrived, and is kept under `upload_name`.

    One that is not what was declared makes the batch `corrupted` (batch-api.md 11); the right
    one is queued. Asked again with the same file, nothing more happens; raises `Conflict` for
    another one.
    """
    async with work.transaction():
        row = await _locked(work, batch)
        if row["state"] != UPLOADING:
            if (row["checksum"], row["size"]) == (checksum, size):
                return row
            raise Conflict(f"Batch {batch} was uploaded already.")
        expected = (row["checksum"] or checksum, row["size"] or size)
        if expected != (checksum, size):
            return await move(work, batch, CORRUPTED, fault="checksum or size differ")
        moved = await move(work, batch, FILE_UPLOADED, kept=True)
        await background.defer(work, TASK, batch=str(batch))
        return moved


async def move(
    work: Work, batch: UUID, state: str, *, kept: bool = False, fault: str | None = None
) -> Record:
    """Move a batch on to another state."""
    row = await work.one(
        "batches.set_state",
        parts=_COLUMNS,
        ref=batch,
        state=state,
        kept=kept,
        fault=fault,
        finished=state in (SUCCESS, CORRUPTED, ERROR),
        now=clock.now(),
    )
    if row is None:
        raise Unknown(SINGULAR, batch)
    return row


async def wait(work: Work, batch: UUID, fault: str) -> None:
    """Note why a batch cannot go on for now; it is tried again."""
    await work.run("batches.waits", ref=batch, fault=fault, now=clock.now())


async def end_interrupted(work: Work) -> int:
    """End the imports whose command was killed: nobody holds their claim; how many.

    The same command goes on with them (`begin`).
    """
    ended = 0
    for row in await work.all("batches.silent", before=clock.now() - SILENT):
        if not await claim(work, row["ref"]):
            continue
        try:
            fault = INTERRUPTED.format(line=row["line"])
            if row["source_key"] is None:
                fault = INTERRUPTED_STREAM.format(line=row["line"])
            ended += await work.run(
                "batches.interrupt", ref=row["ref"], fault=fault, now=clock.now()
            )
        finally:
            await let_go(work, row["ref"])
    return ended


async def claim(work: Work, batch: UUID) -> bool:
    """Whether this connection may apply a batch: nobody else does until it lets go or breaks."""
    row = await work.one("batches.claim", lock=_lock(batch))
    mine = bool(row and row["mine"])
    work.session_held += mine
    return mine


async def let_go(work: Work, batch: UUID) -> None:
    """Let another connection apply it."""
    work.session_held -= 1
    await work.one("batches.let_go", lock=_lock(batch))


async def apply(work: Work, batch: Row, chunks: AsyncIterator[Chunk[BatchRecord]]) -> None:
    """Apply the records of a claimed batch, from where it stopped. `chunks` start there.

    Each chunk is one transaction, which notes how far it came: cut off anywhere, what is noted
    is what was done. Raises `Moved` when the file was rewritten meanwhile.
    """
    source = RecordSource("batch" if batch["holds"] == "batch" else "import", batch["ref"])
    async for chunk in chunks:
        await apply_chunk(work, batch, source, chunk.items)


async def apply_chunk(
    work: Work, batch: Row, source: RecordSource, entries: Sequence[BatchRecord]
) -> Record:
    """Apply some records and note it; the batch as it is then."""
    noted = batch

    async def keep(outcomes: Outcomes, done: Sequence[BatchRecord]) -> None:
        nonlocal noted
        noted = await note(work, batch, outcomes, done)

    await engine.apply(work, entries, source, keep)
    return noted


async def note(work: Work, batch: Row, outcomes: Outcomes, done: Sequence[BatchRecord]) -> Record:
    """Note what some records did, in the transaction that did it; raises `Moved`."""
    row = await work.one(
        "batches.progress",
        parts=_COLUMNS,
        ref=batch["ref"],
        revision=batch["revision"],
        first=done[0].line,
        line=done[-1].line,
        records=len(done),
        failed=len(outcomes.failures),
        outcomes=Json(dict(outcomes.outcomes)),
        now=clock.now(),
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


async def begin_again(work: Work, batch: UUID) -> None:
    """Forget what was noted: a rehearsal that was cut off has nothing to go on from."""
    async with work.transaction():
        await work.run("batches.forget_failures", ref=batch)
        await work.run("batches.begin_again", ref=batch)


async def finish(work: Work, batch: UUID) -> Record:
    """Every record was tried: `success`, or `error` when some failed."""
    async with work.transaction():
        row = await _locked(work, batch)
        return await move(work, batch, ERROR if row["failed"] else SUCCESS, kept=row["kept"])


async def failures(work: Work, batch: UUID, page: int = 1000) -> AsyncIterator[Row]:
    """The records that failed, by line: `line`, `ref`, `code`, `message`, `errors`."""
    async for row in failures_lent(lambda: nullcontext(work), batch, page):
        yield row


async def failures_lent(lend: Lend, batch: UUID, page: int = 1000) -> AsyncIterator[Row]:
    """The same for a reader that may be slow: a connection is held only while a page is read."""
    after = 0
    while True:
        async with lend() as work:
            rows = await work.all("batches.failures", ref=batch, after=after, limit=page)
        for row in rows:
            yield row
        if len(rows) < page:
            return
        after = rows[-1]["line"]


async def held(work: Work, batch: UUID) -> Record:
    """One batch, which nobody applies further until the transaction ends."""
    return await _locked(work, batch)


async def rewritten(work: Work, batch: UUID) -> None:
    """The file of a held batch is another one now: who reads it opens it again."""
    await work.run("batches.rewritten", ref=batch)


async def unfinished(work: Work) -> list[UUID]:
    """Uploaded batches that are not applied to their end."""
    return [row["ref"] for row in await work.all("batches.unfinished")]


async def forgettable(work: Work) -> list[Row]:
    """Batches that are older than what is remembered: `ref`, `kept`."""
    before = clock.now() - timedelta(days=work.settings.batch_days)
    return await work.all("batches.forgettable", before=before)


async def forget(work: Work, batch: UUID) -> None:
    """Forget a batch and what failed in it."""
    await work.run("batches.forget", ref=batch)


def upload_name(workspace: str, batch: UUID) -> str:
    """What the file of a batch is kept under."""
    return f"{workspace}/uploads/{batch}"


async def _locked(work: Work, batch: UUID) -> Row:
    row = await work.one("batches.lock", parts=_COLUMNS, ref=batch)
    if row is None:
        raise Unknown(SINGULAR, batch)
    return row


def _lock(batch: UUID) -> int:
    return lock_of(digest("batch", str(batch)))


def unknown(batch: UUID) -> Unknown:
    """The error of a ref that stands for no batch."""
    return Unknown(SINGULAR, batch)


async def discarded(work: Work, batch: UUID) -> None:
    """The file of a finished batch is no longer kept."""
    await work.run("batches.discarded", ref=batch)
