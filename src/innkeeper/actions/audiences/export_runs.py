"""Running exports: members of one snapshot become files; counts, baseline and files in one commit.

Files have names that their execution and number give, so one that is run again after it was cut
off writes the same ones anew and nothing is there twice.
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
from innkeeper.actions.audiences import traits, webhooks
from innkeeper.actions.audiences.audience_exports import NO_SOURCE, fetch, fetch_source
from innkeeper.errors import ApiError, Conflict, Unavailable, Unknown
from innkeeper.lake.locks import EXPORTS, together
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.resources.base import Record
from innkeeper.resources.exports import (
    ADD,
    DELTA,
    FAILED,
    FINISHED,
    MOST_ROWS,
    REMOVE,
    SUCCESS,
)
from innkeeper.rules import exports as rules
from innkeeper.rules.exports import ExportFormat
from innkeeper.store.external_calls import within
from innkeeper.store.files import Files, seconds_to_put
from innkeeper.store.temp_files import temporary
from innkeeper.store.work import Json, Work

log = logging.getLogger(__name__)

DELIVER: Final = "exports.deliver"
RETENTION: Final = timedelta(days=7)
"""How long files are kept; a guest who is erased is taken out of them at once."""


@dataclass(frozen=True)
class _SelectedMembers:
    """Who goes into the files of one kind."""

    action: str | None
    guests: list[str]


@dataclass(frozen=True)
class _File:
    """A file that was written: a row for each of its guests, in the order of their refs."""

    action: str | None
    path: Path
    guests: list[str]


async def run(work: Work, execution: UUID, most_rows: int = MOST_ROWS) -> Record | None:
    """Run one execution; one that has ended already is left alone.

    While storage is away it raises `Later`, and has failed after so many attempts.
    """
    found = await work.one("exports.find_execution", parts=_EXECUTION, ref=execution)
    if found is None or found["status"] in FINISHED:
        return found
    await work.run("exports.started", ref=execution, now=clock.now())
    row = await fetch(work, found["export_ref"])
    kept: list[str] = []
    try:
        # Who is erased meanwhile is taken out when the files are listed (`forgetting`).
        async with together(work, EXPORTS):
            return await _run(work, row, found, most_rows, kept)
    except Exception as fault:
        if await work.one("exports.find_execution", parts=_EXECUTION, ref=execution) is None:
            # Deleted meanwhile: nothing leads to the files that it wrote.
            await _remove_files(work, kept)
            return None
        if isinstance(fault, Unavailable | OSError):
            told = await background.put_off(work, "exports.put_off", found, fault)
            return await _finish(work, row, found, status=FAILED, errors=[told])
        if not isinstance(fault, ApiError):
            log.exception("execution %s of an export failed", execution)
        return await _finish(
            work, row, found, status=FAILED, errors=[background.operator_message(fault)]
        )


async def _run(
    work: Work, row: Record, execution: Record, most_rows: int, kept: list[str]
) -> Record:
    """Run an execution in the transaction of its snapshot; `kept` takes the names of its files."""
    every = await traits.list_current(work)
    shape = rules.read_shape(row["shape"], every)
    segment = await fetch_source(work, row)
    if segment is None:
        raise Conflict(NO_SOURCE)
    async with opened(work) as lake:
        found, matched = await _find_members(lake, segment["definition"], shape, every)
        chosen = await _select_members(work, row, matched)
        with temporary(work.settings, "export") as folder:
            written = await lake.run(
                lambda session: _write_files(session, lake, shape, every, chosen, folder, most_rows)
            )
            await _store_files(work, execution["ref"], shape, written, kept)
        added = sum(len(each.guests) for each in chosen if each.action != REMOVE)
        removed = sum(len(each.guests) for each in chosen if each.action == REMOVE)
        if row["destination"]:
            lock = lock_of_deliveries(work, row["ref"])
            ref = str(execution["ref"])
            await background.defer(
                work, DELIVER, queue=background.DELIVERIES, lock=lock, execution=ref
            )
        done = await _finish(
            work,
            row,
            execution,
            status=SUCCESS,
            sequence=lake.snapshot.sequence,
            snapshot=lake.snapshot.token,
            total=added + removed,
            matched=len(matched),
            not_matched=len(found) - len(matched),
            added=added,
            removed=removed,
            dataset_at=lake.snapshot.taken_at,
            shape=Json(row["shape"]),
        )
        if done is None:
            raise Unknown("Audience export execution", execution["ref"])
        return done


def lock_of_deliveries(work: Work, export: UUID) -> str:
    """Deliveries of an export go in order: a delta must not arrive before the one it follows."""
    return f"{work.workspace} delivery {export}"


async def _find_members(
    lake: Lake, definition: Any, shape: ExportFormat, every: Any
) -> tuple[list[str], list[str]]:
    """The segment's members, and those that the filter keeps."""
    from innkeeper.lake.segment_members import Question, find_members  # noqa: PLC0415

    found = await find_members(lake, Question.of(definition, every))
    if shape.filter is None:
        return found, found
    return found, await find_members(lake, Question.of(shape.filter, every), found)


async def _select_members(work: Work, row: Record, members: list[str]) -> list[_SelectedMembers]:
    """All of them, or for a delta who came and who went; the baseline moves in this transaction."""
    if row["definition_type"] != DELTA:
        return [_SelectedMembers(None, members)]
    before = {each["guest"] for each in await work.all("exports.members", export=row["ref"])}
    now = set(members)
    added = [guest for guest in members if guest not in before]
    removed = sorted(before - now)
    await work.run("exports.forget_members", export=row["ref"], guests=removed)
    await work.run("exports.note_members", export=row["ref"], guests=added)
    return [_SelectedMembers(ADD, added), _SelectedMembers(REMOVE, removed)]


def _write_files(
    session: Any,
    lake: Lake,
    shape: ExportFormat,
    every: Any,
    chosen: list[_SelectedMembers],
    folder: Path,
    most_rows: int,
) -> list[_File]:
    """Every file; a full export of nobody is one empty file."""
    from innkeeper.lake.export_files import write_file  # noqa: PLC0415 - loads SQLGlot

    written: list[_File] = []
    for each in chosen:
        starts = range(0, max(len(each.guests), 0 if each.action else 1), most_rows)
        for start in starts:
            part = sorted(each.guests[start : start + most_rows])
            path = folder / str(len(written))
            rows = write_file(session, lake.snapshot, shape, every, part, path)
            if rows != len(part):
                raise RuntimeError(f"a file of {len(part)} guests has {rows} rows")
            written.append(_File(each.action, path, part))
    return written


async def _store_files(
    work: Work, execution: UUID, shape: ExportFormat, written: list[_File], kept: list[str]
) -> None:
    """Put files where downloads find them, and list them."""
    files = Files.of(work.settings)
    ending = "parquet" if shape.format == "PARQUET" else f"{shape.format.lower()}.gz"
    for number, file in enumerate(written):
        name = f"{work.workspace}/exports/{execution}/{number:04}.{ending}"
        size = file.path.stat().st_size
        kept.append(name)
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
    """Copy a file to where downloads find it."""
    with files.staged() as staged, path.open("rb") as source:
        shutil.copyfileobj(source, staged)
        files.put(name, staged)


async def _finish(work: Work, row: Record, execution: Record, **ended: Any) -> Record | None:
    """Record how it ended and tell who wants to know (2.2: the connection's message); None where
    the export was deleted meanwhile."""
    counts = dict.fromkeys(("total", "matched", "not_matched", "added", "removed"), 0)
    nothing = dict.fromkeys(("sequence", "snapshot", "dataset_at", "shape"))
    async with work.transaction():
        done = await work.one(
            "exports.finish",
            parts=_EXECUTION,
            ref=execution["ref"],
            now=clock.now(),
            **{**counts, **nothing, "errors": [], **ended},
        )
        if done is None:
            return None
        if row["webhook"]:
            segment = await fetch_source(work, row)
            message = {
                "apiUrl": f"/v2/audienceExports/executions/{done['ref']}/export",
                "audienceExportName": row["name"],
                "clientKey": work.actor,
                "definitionType": done["definition_type"],
                "executionRef": done["ref"],
                "executionType": done["execution_type"],
                "friendlyId": row["friendly_id"],
                "segmentName": segment and segment["name"],
                "status": done["status"],
            }
            await webhooks.queue_message(work, row["webhook"], row["webhook_secret"], message)
        return done


async def remove_expired_files(work: Work) -> int:
    """Remove files whose time has come; how many."""
    rows = await work.all("exports.old", before=clock.now() - RETENTION)
    files = Files.of(work.settings)

    async def forget(name: str) -> None:
        await asyncio.to_thread(files.remove, name)
        await work.run("exports.forget_files", names=[name])

    names = [row["name"] for row in rows]
    await background.try_each(names, forget, "removing a file of an export")
    return len(rows)


_EXECUTION: Final = {"execution": ("exports.execution",)}
