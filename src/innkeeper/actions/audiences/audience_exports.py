"""Audience exports: define and run them, list their files (segmentation-and-export.md 2)."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit, background
from innkeeper.actions.admin.named_records import NamedRecords
from innkeeper.actions.audiences import segments, static_lists
from innkeeper.actions.audiences.event_names import find_unknown_events
from innkeeper.actions.audiences.export_settings import has_source, read_settings
from innkeeper.actions.bulk import signed_urls
from innkeeper.errors import BadRequest, Conflict, Invalid, NotFound, Problem, existing
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import ChangeExportRequest, CreateExportRequest
from innkeeper.resources.exports import FINISHED, INSTANT_RUN, SCHEDULED, SUCCESS
from innkeeper.resources.naming import camel
from innkeeper.resources.payloads import read_members
from innkeeper.resources.segments import LIVE
from innkeeper.resources.static_lists import definition_of_list
from innkeeper.rules.audited import EXPORT
from innkeeper.rules.schedules import next_time
from innkeeper.rules.versions import Expected, expect
from innkeeper.store.files import Files
from innkeeper.store.work import Work

log = logging.getLogger(__name__)

EXPORTS: Final = NamedRecords("exports", "Audience export", EXPORT)
NO_SOURCE: Final = "The segment of this export was deleted. Choose another one first."
RUN: Final = "exports.run"
MOST_LISTED: Final = 100
list_all: Final = EXPORTS.list_all
"""List every export, newest first."""
fetch: Final = EXPORTS.fetch
"""Fetch one export by ref or friendly id; raises `Unknown`."""


async def create(work: Work, body: Mapping[str, Any], problems: Sequence[Problem] = ()) -> Record:
    """Create an export.

    Raises `Invalid` with `problems` and every other problem, `Conflict` if the friendly id exists.
    """
    problems = [*problems, *await find_unknown_events(work, body.get("filter"), "filter")]
    values = read_members(CreateExportRequest, body, problems)
    async with work.transaction():
        fields = await read_settings(work, values, problems)
        return await EXPORTS.create(work, **fields)


async def change(
    work: Work,
    export: UUID | str,
    body: Mapping[str, Any],
    expected: Expected | None = None,
    problems: Sequence[Problem] = (),
) -> Record:
    """Change settings of an export; None clears a setting. Pending executions use the new ones.

    Raises `Invalid` with `problems` and every other problem, and `Outdated` if the stored version
    is not the expected one. The webhook secret does not change while the export has a webhook.
    """
    unknown = await find_unknown_events(work, body.get("filter"), "filter")
    async with work.transaction():
        row = await EXPORTS.fetch_locked(work, export)
        expect(expected, row)
        is_new = body.get("filter") != row["shape"].get("filter")
        problems = [*problems, *(unknown if is_new else ())]
        stored = {**row, **row["shape"], **_source_after(row, body)}
        values = segments.read_changes(ChangeExportRequest, body, stored, problems)
        fields = await read_settings(work, values, problems, row)
        del fields["friendly_id"]
        if row["webhook_secret"] and fields["webhook_secret"]:
            fields["webhook_secret"] = row["webhook_secret"]
        if fields["segment"] is None and fields["static_list"] is None:
            fields["next_at"] = None
        elif fields["schedule"] == row["schedule"] and has_source(row):
            fields["next_at"] = row["next_at"]
        return await EXPORTS.rewrite(work, row, **fields)


def _source_after(row: Record, body: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the stored source of an export, without the one that a change replaces."""
    stored = {"segment": row["segment_ref"], "static_list": row["static_list_ref"]}
    is_replaced = any(body.get(camel(name)) for name in stored)
    return {name: None if is_replaced or ref is None else str(ref) for name, ref in stored.items()}


async def delete(work: Work, export: UUID | str, expected: Expected | None = None) -> None:
    """Delete an export with its executions and their files."""
    if expected is not None:
        async with work.transaction():
            expect(expected, await EXPORTS.fetch_locked(work, export))
            return await delete(work, export)
    row = await fetch(work, export)
    files = Files.of(work.settings)
    # Files first: if the rows went first and this was interrupted, the files would be orphaned.
    names = [each["name"] for each in await work.all("exports.names", export=row["ref"])]
    async with work.released():
        for name in names:
            await asyncio.to_thread(files.remove, name)
    async with work.transaction():
        await EXPORTS.delete(work, row)


async def start(work: Work, export: UUID | str, execution_type: str = INSTANT_RUN) -> Record:
    """Queue an execution, which runs in the background; raises `Conflict` without a segment."""
    async with work.transaction():
        row = await fetch(work, export)
        segment = await fetch_source(work, row)
        if segment is None:
            raise Conflict(NO_SOURCE)
        execution = await work.row(
            "exports.begin",
            ref=uuid4(),
            export=row["ref"],
            execution_type=execution_type,
            definition_type=row["definition_type"],
            segment_execution_type="LIVE" if segment["status"] == LIVE else "ON_DEMAND",
        )
        lock = lock_of_runs(work, row["ref"])
        await background.defer(work, RUN, lock=lock, execution=str(execution["ref"]))
        if execution_type == INSTANT_RUN:
            await audit.record(work, EXPORT, "run", row, row, execution=str(execution["ref"]))
        return execution


def lock_of_runs(work: Work, export: UUID) -> str:
    """Return the job lock of an export: one execution runs at a time, since deltas build on each
    other."""
    return f"{work.workspace} export {export}"


async def start_due(work: Work) -> int:
    """Queue the exports that are due, each in its own transaction; returns how many."""
    queued, now = 0, clock.now()
    after: tuple[datetime, UUID] = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
    while True:
        previous = after
        try:
            async with work.transaction():
                row = await work.one("exports.due", now=now, after=after[0], after_ref=after[1])
                if row is None:
                    return queued
                after = row["next_at"], row["ref"]
                queued += await _start_scheduled(work, row)
        except Exception:
            if after == previous:
                raise
            log.exception("a due audience export cannot be started")


async def _start_scheduled(work: Work, row: Record) -> bool:
    """Queue a locked export that is due; returns False if it has no valid schedule or segment."""
    try:
        following = next_time(row["schedule"], clock.now())
    except Invalid as invalid:
        log.warning("export %s is not scheduled: %s", row["friendly_id"], invalid.message)
        following = None
    if not has_source(row):
        following = None
    await work.run("exports.schedule", ref=row["ref"], next_at=following)
    if following is None:
        return False
    await start(work, row["ref"], SCHEDULED)
    return True


async def fetch_source(work: Work, export: Record) -> Record | None:
    """Fetch the segment that an export reads, or its list in the form of a segment; None if it was
    deleted."""
    if export["static_list_ref"] is not None:
        row = await static_lists.fetch_stored(work, export["static_list_ref"])
        return {**row, "status": "", "definition": definition_of_list(row["friendly_id"])}
    ref = export["segment_ref"]
    return await work.one("segments.fetch", ref=ref, friendly_id=None)


async def fetch_latest(work: Work, export: UUID | str) -> Record:
    """A1: fetch the listing of the latest successful execution; 404 if there is none."""
    row = await fetch(work, export)
    execution = await work.one("exports.latest", export=row["ref"])
    if execution is None:
        raise NotFound
    return await _build_listing(work, row, execution)


async def list_finished(work: Work, export: UUID | str) -> tuple[Record, list[Record]]:
    """A2: fetch an export and its finished executions, newest first."""
    row, rows = await list_executions(work, export)
    return row, [execution for execution in rows if execution["status"] in FINISHED]


async def list_executions(work: Work, export: UUID | str) -> tuple[Record, list[Record]]:
    """Fetch an export and all its executions, newest first."""
    row = await fetch(work, export)
    rows = await work.all("exports.executions", export=row["ref"], limit=MOST_LISTED)
    return row, rows


async def fetch_listing(work: Work, execution: UUID) -> Record:
    """A3: fetch the listing of one execution; 400 while it has no files (EU-6)."""
    stored = await work.one("exports.find_execution", ref=execution)
    row = existing(stored, "Audience export execution", execution)
    if row["status"] != SUCCESS:
        raise BadRequest("Export job is not finished")
    return await _build_listing(work, await fetch(work, row["export_ref"]), row)


async def _build_listing(work: Work, row: Record, execution: Record) -> Record:
    """List the files of an execution with signed links, which need no credentials."""
    expiry = clock.now() + signed_urls.LIFE
    files = []
    for file in await work.all("exports.files", execution=execution["ref"]):
        path = f"{signed_urls.PREFIX}/{work.workspace}/{execution['ref']}/export/{file['number']}"
        signed = await signed_urls.sign(work, "GET", path)
        expiry = min(expiry, signed["expiry"])
        mapping = None
        if execution["shape"].get("guarded"):
            mapping = (await signed_urls.sign(work, "GET", f"{path}/mapping"))["href"]
        files.append({**file, "href": signed["href"], "mapping": mapping})
    return {"export": row, "execution": execution, "expire_at": expiry, "files": files}


async def find_file_name(work: Work, execution: UUID, number: int) -> tuple[str, str]:
    """Find the storage name of a file by its number, and the name to save it as: the segment, the
    time of the run, and the number; raises `NotFound`."""
    for file in await work.all("exports.files", execution=execution):
        if file["number"] == number:
            break
    else:
        raise NotFound
    run = await work.row("exports.find_execution", ref=execution)
    export = await fetch(work, run["export_ref"])
    source = await fetch_source(work, export)
    name = source["friendly_id"] if source else export["friendly_id"]
    name = f"{name}-{run['requested_at']:%Y-%m-%d-%H%M}"
    action = f"-{file['delta_action']}" if file["delta_action"] else ""
    return str(file["name"]), f"{name}{action}-{file['name'].rpartition('/')[2]}"
