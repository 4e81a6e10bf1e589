"""Tasks that apply uploaded files, write export files and delete old ones."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, cast
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin.background import RetryAt, operator_message, try_each
from innkeeper.actions.bulk import batches, file_exports, import_sources, imports, undo
from innkeeper.actions.bulk.creation_writer import terms_in_advance
from innkeeper.errors import Unavailable
from innkeeper.jobs.registry import patient_task, scheduled
from innkeeper.store.driver_errors import may_pass
from innkeeper.store.external_calls import within
from innkeeper.store.files import Files, seconds_to_put
from innkeeper.store.readers import ahead
from innkeeper.store.work import Row, Work
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.export_files import write
from innkeeper.wire.bulk.file_formats import MOST_EXPANSION, TABLES
from innkeeper.wire.bulk.mixed_files import mark_mixed
from innkeeper.wire.bulk.record_reader import RecordReader
from innkeeper.wire.bulk.rejected_rows import Refusal, RejectedRowsWriter

log = logging.getLogger("innkeeper.jobs")

_REFUSALS: Final = 1000
"""Refused records whose rows are looked for at a time."""
_ATTEMPTS: Final = 1000
"""Times that one run starts over because an erasure rewrote the file."""
_LOCK_PAUSE: Final = timedelta(seconds=2)
"""Time after which a job tries again to lock a batch."""


@patient_task(batches.TASK)
async def apply(work: Work, batch: str) -> None:
    """Apply a batch.

    An interrupted run, or one without storage, continues later after the last committed line.
    """
    async with _locked(work, UUID(batch)) as ref:
        await _apply(work, ref)


@scheduled("23 3 * * *", "batches.forget")
async def forget(work: Work) -> None:
    """Delete batches older than `batch_days` with their files, expired export files, and what
    imports changed longer than `undo_days` ago."""
    await undo.expire(work)
    files = Files.of(work.settings)

    # The file is deleted before its row: while the row exists, the next run tries to delete the
    # file again.
    async def forget_batch(ref: UUID) -> None:
        for name in (batches.upload_name, batches.rejects_name):
            await asyncio.to_thread(files.remove, name(work.workspace, ref))
        await batches.delete(work, ref)

    old = [row["ref"] for row in await batches.list_expired(work)]
    expired = [
        row["ref"]
        for row in await file_exports.list_with_files(work)
        if row["expires_at"] is not None and row["expires_at"] < clock.now()
    ]
    try:
        await try_each(old, forget_batch, "deleting a batch")
    finally:
        await try_each(expired, partial(file_exports.delete_file, work), "deleting an export")


@patient_task(undo.TASK)
async def undo_import(work: Work, batch: str) -> None:
    """Undo an import; an interrupted undo continues."""
    async with _locked(work, UUID(batch)) as ref:
        await undo.run(work, ref)


@patient_task(file_exports.TASK)
async def write_export(work: Work, export: str) -> None:
    """Write an export; an interrupted run, or one without storage, starts again from the start."""
    ref = UUID(export)
    row = await file_exports.fetch(work, ref)
    if row["state"] not in ("waiting", "writing"):
        return
    if row["state"] == "waiting":
        await file_exports.set_state(work, ref, "writing")
    try:
        await _write_export(work, row)
    except (Unavailable, OSError) as fault:
        await file_exports.postpone(work, row, fault)
    except Exception as fault:
        log.exception("export %s cannot be written", ref)
        await file_exports.set_state(work, ref, file_exports.FAILED, fault=operator_message(fault))


@asynccontextmanager
async def _locked(work: Work, ref: UUID) -> AsyncIterator[UUID]:
    """Lock a batch, or raise `RetryAt` while another connection has the lock.

    That may be a job or a command that ends or is killed without doing what this job is for, or the
    connection of a killed worker that the database has not closed yet.
    """
    if not await batches.try_lock(work, ref):
        raise RetryAt(clock.now() + _LOCK_PAUSE)
    try:
        yield ref
    finally:
        await batches.unlock(work, ref)


async def _write_export(work: Work, row: Row) -> None:
    ref = row["ref"]
    files, name = Files.of(work.settings), file_exports.file_name(work.workspace, ref)
    with files.staged() as staged:
        compression = file_exports.compression_of(row)
        count = await write(work, row["entity"], row["format"], staged, compression=compression)
        size = staged.tell()
        put, undo = partial(files.put, name, staged), partial(files.remove, name)
        await within(seconds_to_put(size), name, put, undo=undo)
    if (await file_exports.fetch(work, ref))["state"] != "writing":
        # A guest was erased meanwhile, and the file may contain that guest.
        await asyncio.to_thread(files.remove, name)
        return
    await file_exports.set_state(work, ref, file_exports.DONE, records=count, size=size)


async def _apply(work: Work, ref: UUID) -> None:
    files = Files.of(work.settings)
    for _ in range(_ATTEMPTS):
        batch = await batches.fetch(work, ref)
        if batch["finished_at"] is not None:
            break
        if batch["state"] == batches.FILE_UPLOADED:
            batch = await batches.set_state(work, ref, batches.PROCESSING, has_file=True)
        try:
            await _read(work, files, batch)
        except batches.FileRewritten:
            continue
    await asyncio.to_thread(files.remove, batches.upload_name(work.workspace, ref))
    await batches.mark_file_deleted(work, ref)
    await import_sources.finish(work, await batches.fetch(work, ref))


async def _read(work: Work, files: Files, batch: Row) -> None:
    """Apply a file to its end, or fail its batch with the reason.

    An error that may be temporary (storage or the database is unreachable) is stored with the batch
    and raised, so that the job runs again.
    """
    ref = batch["ref"]
    try:
        await _apply_file(work, files, batch)
    except batches.FileRewritten:
        raise
    except Exception as fault:
        if may_pass(fault) and not isinstance(fault, FileNotFoundError):
            await batches.record_fault(
                work, ref, f"Waiting to try again: {operator_message(fault)}"
            )
            raise
        log.warning("batch %s cannot be applied", ref, exc_info=fault)
        await batches.set_state(
            work, ref, batches.ERROR, has_file=True, fault=imports.failure_message(fault)
        )
    else:
        await batches.finish(work, ref)


async def _apply_file(work: Work, files: Files, batch: Row) -> None:
    layout = Layout.of(batch, tracking=work.settings.batch_tracking)
    async with files.fetched(batches.upload_name(work.workspace, batch["ref"])) as path:
        if layout.entity != "batch" or not batch["line"]:
            # Read before the first record is applied, so that a damaged file changes nothing.
            most = MOST_EXPANSION * work.settings.max_upload_bytes
            layout = await asyncio.to_thread(layout.prepared, path, most)
        if imports.is_dry_run(batch):
            reader = RecordReader(layout, path)
            await imports.dry_run_upload(work, batch, ahead(reader.chunks()))
        else:
            batch = await mark_mixed(work, batch, layout, path)
            terms = await terms_in_advance(work, batches.source_of(batch))
            reader = RecordReader(layout, path, batch["line"], terms)
            await batches.apply(work, batch, ahead(reader.chunks()))
        if layout.form is not None and layout.form.format in TABLES:
            await _store_rejects(work, files, batch["ref"], layout, path)


async def _store_rejects(work: Work, files: Files, ref: UUID, layout: Layout, path: Path) -> None:
    """Store the refused rows of a table, with the reason, for download."""
    if not (await batches.fetch(work, ref))["failed"]:
        return
    # An erasure clears this and deletes the file, whenever it comes. One that came since the import
    # was created forbids it: the erased guest may be in a row.
    if not await batches.expect_rejects(work, ref):
        return
    name = batches.rejects_name(work.workspace, ref)
    with files.staged() as staged, layout.opened(path) as source:
        columns = await asyncio.to_thread(layout.column_names, path)
        out = io.TextIOWrapper(cast(BinaryIO, staged), encoding="utf-8", newline="")
        writer = RejectedRowsWriter(layout, columns, source, out)
        writer.write_header(is_guarded=True)
        page: list[Refusal] = []
        async for row in batches.failures(work, ref):
            page.append((row["line"], row["errors"] or [row["message"]]))
            if len(page) == _REFUSALS:
                await asyncio.to_thread(writer.write, page)
                page = []
        await asyncio.to_thread(writer.write, page)
        out.flush()
        out.detach()
        await asyncio.to_thread(files.put, name, staged)
    if not (await batches.fetch(work, ref))["has_rejects"]:
        await asyncio.to_thread(files.remove, name)
