"""Run audience exports: write the members of one snapshot to files.

Counts, the baseline of deltas and the list of files are committed together. The name of a file is
made of its execution and number, so an execution that runs again after an interruption overwrites
its files and leaves no duplicates.
"""

import asyncio
import logging
import shutil
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import background
from innkeeper.actions.audiences import consent, traits, webhooks
from innkeeper.actions.audiences.audience_exports import NO_SOURCE, fetch, fetch_source
from innkeeper.errors import ApiError, Conflict, Unavailable, Unknown
from innkeeper.lake.locks import EXPORTS, together
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.resources.base import Record
from innkeeper.resources.exports import (
    ADD,
    DELTA,
    FAILED,
    FILES_PATH,
    FINISHED,
    MOST_ROWS,
    REMOVE,
    SUCCESS,
)
from innkeeper.resources.messages import ExecutionMessage
from innkeeper.rules import exports as rules
from innkeeper.rules.exports import ExportFormat
from innkeeper.store.external_calls import within
from innkeeper.store.files import Files, seconds_to_put
from innkeeper.store.temp_files import temporary
from innkeeper.store.work import Json, Work

log = logging.getLogger(__name__)

DELIVER: Final = "exports.deliver"
RETENTION: Final = timedelta(days=7)
"""How long files are stored; erased guests are removed from them at once."""


@dataclass(frozen=True)
class _SelectedMembers:
    """The guests of the files with one delta action; None for a full export."""

    action: str | None
    guests: list[str]


@dataclass(frozen=True)
class _File:
    """A written file: one row for each of its guests, in the order of their refs."""

    action: str | None
    path: Path
    guests: list[str]


async def run(work: Work, execution: UUID, most_rows: int = MOST_ROWS) -> Record | None:
    """Run one execution and return it; None if it was deleted, unchanged if it had finished.

    Raises `background.RetryAt` while storage is unavailable; fails after the last attempt.
    """
    stored = await work.one("exports.find_execution", ref=execution)
    if stored is None or stored["status"] in FINISHED:
        return stored
    await work.run("exports.started", ref=execution)
    row = await fetch(work, stored["export_ref"])
    file_names: list[str] = []
    try:
        # Guests erased meanwhile are removed once the files are listed (`erased_guests`).
        async with together(work, EXPORTS):
            return await _run(work, row, stored, most_rows, file_names)
    except Exception as fault:
        if await work.one("exports.find_execution", ref=execution) is None:
            # Deleted meanwhile: no row refers to the files that it wrote.
            await _remove_files(work, file_names)
            return None
        if isinstance(fault, Unavailable | OSError):
            message = await background.put_off(work, "exports.put_off", stored, fault)
            return await _finish(work, row, stored, status=FAILED, errors=[message])
        if not isinstance(fault, ApiError):
            log.exception("execution %s of an export failed", execution)
        return await _finish(
            work, row, stored, status=FAILED, errors=[background.operator_message(fault)]
        )


async def _run(
    work: Work, row: Record, execution: Record, most_rows: int, file_names: list[str]
) -> Record:
    """Run an execution in the transaction of its snapshot.

    Appends the names of stored files to `file_names`, also when it fails.
    """
    every = await traits.list_current(work)
    shape = rules.read_shape(row["shape"], every)
    segment = await fetch_source(work, row)
    if segment is None:
        raise Conflict(NO_SOURCE)
    async with opened(work) as lake:
        members, matching = await _find_members(lake, segment["definition"], shape, every)
        unsubscribed, left_out = await _find_unsubscribed(work, lake, shape, matching)
        matching = [guest for guest in matching if guest not in unsubscribed]
        selected = await _select_members(work, row, matching)
        with temporary(work.settings, "export") as folder:
            written = await lake.run(
                lambda session: _write_files(
                    session, lake, shape, every, selected, folder, most_rows
                )
            )
            await _store_files(work, execution["ref"], shape, written, file_names)
        added = sum(len(each.guests) for each in selected if each.action != REMOVE)
        removed = sum(len(each.guests) for each in selected if each.action == REMOVE)
        if row["destination"]:
            lock = lock_of_deliveries(work, row["ref"])
            ref = str(execution["ref"])
            await background.defer(
                work, DELIVER, queue=background.DELIVERIES, lock=lock, execution=ref
            )
        finished = await _finish(
            work,
            row,
            execution,
            status=SUCCESS,
            sequence=lake.snapshot.sequence,
            snapshot=lake.snapshot.token,
            total=added + removed,
            matched=len(matching),
            not_matched=len(members) - len(matching),
            added=added,
            removed=removed,
            dataset_at=lake.snapshot.taken_at,
            shape=Json(row["shape"]),
            unsubscribed=len(unsubscribed),
            left_out=Json(left_out),
        )
        if finished is None:
            raise Unknown("Audience export execution", execution["ref"])
        return finished


def lock_of_deliveries(work: Work, export: UUID) -> str:
    """Return the job lock of deliveries: deltas of an export must arrive in order."""
    return f"{work.workspace} delivery {export}"


async def _find_members(
    lake: Lake, definition: Any, shape: ExportFormat, every: Any
) -> tuple[list[str], list[str]]:
    """Find the members of the segment, and those that match the filter of the export."""
    from innkeeper.lake.segment_members import Question, find_members  # noqa: PLC0415

    members = await find_members(lake, Question.of(definition, every))
    if shape.filter is None:
        return members, members
    return members, await find_members(lake, Question.of(shape.filter, every), members)


async def _find_unsubscribed(
    work: Work, lake: Lake, shape: ExportFormat, guests: list[str]
) -> tuple[set[str], list[Record]]:
    """Find the guests that the export leaves out as unsubscribed, and their number by field."""
    channels = shape.channels
    fields = [each for each in await consent.list_fields(work) if each.channel in channels]
    if not fields:
        return set(), []
    from innkeeper.lake.unsubscribed import find_unsubscribed  # noqa: PLC0415 - loads SQLGlot

    return await find_unsubscribed(lake, fields, guests)


async def _select_members(work: Work, row: Record, members: list[str]) -> list[_SelectedMembers]:
    """Select all members, or for a delta those that entered and left since the last one.

    Updates the baseline of the next delta in this transaction.
    """
    if row["definition_type"] != DELTA:
        return [_SelectedMembers(None, members)]
    before = {each["guest"] for each in await work.all("exports.members", export=row["ref"])}
    current = set(members)
    added = [guest for guest in members if guest not in before]
    removed = sorted(before - current)
    await work.run("exports.forget_members", export=row["ref"], guests=removed)
    await work.run("exports.note_members", export=row["ref"], guests=added)
    return [_SelectedMembers(ADD, added), _SelectedMembers(REMOVE, removed)]


def _write_files(
    session: Any,
    lake: Lake,
    shape: ExportFormat,
    every: Any,
    selected: list[_SelectedMembers],
    folder: Path,
    most_rows: int,
) -> list[_File]:
    """Write every file; a full export without members is one empty file."""
    from innkeeper.lake.export_files import write_file  # noqa: PLC0415 - loads SQLGlot

    written: list[_File] = []
    for each in selected:
        starts = range(0, max(len(each.guests), 0 if each.action else 1), most_rows)
        for start in starts:
            part = sorted(each.guests[start : start + most_rows])
            path = folder / str(len(written))
            rows = write_file(session, lake.snapshot, shape, every, part, path)
            if rows != len(part):
                raise RuntimeError(f"The file of {len(part)} guests has {rows} rows.")
            written.append(_File(each.action, path, part))
    return written


async def _store_files(
    work: Work, execution: UUID, shape: ExportFormat, written: list[_File], file_names: list[str]
) -> None:
    """Store written files for download and list them; appends their names to `file_names`."""
    files = Files.of(work.settings)
    ending = "parquet" if shape.format == "PARQUET" else f"{shape.format.lower()}.gz"
    for number, file in enumerate(written):
        name = f"{work.workspace}/exports/{execution}/{number:04}.{ending}"
        size = file.path.stat().st_size
        file_names.append(name)
        await within(
            seconds_to_put(size),
            name,
            partial(put_file, files, name, file.path),
            undo=partial(files.remove, name),
        )
        await work.run(
            "exports.add_file",
            execution=execution,
            number=number,
            name=name,
            delta_action=file.action,
            rows=len(file.guests),
            bytes=size,
            guests=file.guests,
        )


async def _remove_files(work: Work, names: list[str]) -> None:
    files = Files.of(work.settings)
    for name in names:
        await asyncio.to_thread(files.remove, name)


def put_file(files: Files, name: str, path: Path) -> None:
    """Copy a file to the storage of downloads."""
    with files.staged() as staged, path.open("rb") as source:
        shutil.copyfileobj(source, staged)
        files.put(name, staged)


async def _finish(work: Work, row: Record, execution: Record, **outcome: Any) -> Record | None:
    """Store the outcome of an execution and queue its webhook message (2.2).

    Returns None if the export was deleted meanwhile.
    """
    names = ("total", "matched", "not_matched", "added", "removed", "unsubscribed")
    counts = dict.fromkeys(names, 0)
    no_snapshot = dict.fromkeys(("sequence", "snapshot", "dataset_at", "shape"))
    async with work.transaction():
        finished = await work.one(
            "exports.finish",
            ref=execution["ref"],
            **{**counts, **no_snapshot, "errors": [], "left_out": Json([]), **outcome},
        )
        if finished is None:
            return None
        if row["webhook"]:
            segment = await fetch_source(work, row)
            message = ExecutionMessage(
                api_url=FILES_PATH.format(execution=finished["ref"]),
                audience_export_name=row["name"],
                client_key=work.actor,
                definition_type=finished["definition_type"],
                execution_ref=finished["ref"],
                execution_type=finished["execution_type"],
                friendly_id=row["friendly_id"],
                segment_name=segment["name"] if segment else None,
                status=finished["status"],
            )
            await webhooks.queue_message(work, row["webhook"], row["webhook_secret"], message)
        return finished


async def remove_expired_files(work: Work) -> int:
    """Delete files older than `RETENTION`; returns how many."""
    rows = await work.all("exports.old", before=clock.now() - RETENTION)
    files = Files.of(work.settings)

    async def remove(name: str) -> None:
        await asyncio.to_thread(files.remove, name)
        await work.run("exports.forget_files", names=[name])

    names = [row["name"] for row in rows]
    await background.try_each(names, remove, "deleting a file of an export")
    return len(rows)
