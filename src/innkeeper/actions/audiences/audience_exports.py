"""Audience exports: define, run, list what came of them (segmentation-and-export.md 2)."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit, background, stored_secrets
from innkeeper.actions.audiences import segments, traits
from innkeeper.actions.audiences.event_names import check_event_names
from innkeeper.actions.bulk import signed_urls
from innkeeper.errors import BadRequest, Conflict, Invalid, NotFound, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.exports import (
    CRONS,
    DELTA,
    FINISHED,
    FULL_SYNC,
    INSTANT_RUN,
    SCHEDULED,
    SUCCESS,
)
from innkeeper.resources.segments import LIVE
from innkeeper.rules import exports as rules
from innkeeper.rules.audited import EXPORT
from innkeeper.rules.versions import Expected, expect
from innkeeper.store.destinations import BadDestination, destination_of
from innkeeper.store.files import Files
from innkeeper.store.work import Json, Work

log = logging.getLogger(__name__)

SINGULAR: Final = "Audience export"
NO_SOURCE: Final = "The segment of this export was deleted. Choose another one first."
RUN: Final = "exports.run"
MOST_LISTED: Final = 100
LONGEST_SCHEDULE: Final = 200


async def list_all(work: Work) -> list[Record]:
    """Every export, newest first."""
    return await work.all("exports.list", parts=_COLUMNS)


async def fetch(work: Work, export: UUID | str) -> Record:
    """One export by ref or friendly id; raises `Unknown`."""
    ref = export if isinstance(export, UUID) else None
    row = await work.one("exports.fetch", parts=_COLUMNS, ref=ref, friendly_id=str(export))
    if row is None:
        raise Unknown(SINGULAR, export)
    return row


async def create(work: Work, body: Mapping[str, Any]) -> Record:
    """A new export; raises `Invalid` with every problem, `Conflict` for a taken friendly id."""
    await check_event_names(work, body.get("filter"), "filter")
    async with work.transaction():
        fields = await _checked(work, body)
        row = await work.one(
            "exports.create",
            parts=_COLUMNS,
            ref=uuid4(),
            actor=work.actor,
            now=clock.now(),
            **fields,
        )
        if row is None:
            raise Conflict(f"Audience export {fields['friendly_id']} already exists.")
        await audit.record(work, EXPORT, "create", None, row)
        return row


async def change(
    work: Work, export: UUID | str, body: Mapping[str, Any], expected: Expected | None = None
) -> Record:
    """Other settings of an export, None clears one; executions that wait take the new ones.

    Raises `Invalid` with every problem, and `Outdated` where the caller expects another version.
    The secret stays for as long as something is signed.
    """
    await check_event_names(work, body.get("filter"), "filter")
    async with work.transaction():
        row = await _locked(work, export)
        expect(expected, row)
        fields = await _checked(work, {**_sent(row), **body}, row)
        if fields.pop("friendly_id") != row["friendly_id"]:
            raise Invalid(Problem("friendlyId", "cannot be changed"))
        if row["webhook_secret"] and fields["webhook_secret"]:
            fields["webhook_secret"] = row["webhook_secret"]
        if fields["segment"] is None:
            fields["next_at"] = None
        elif fields["schedule"] == row["schedule"] and row["segment_ref"] is not None:
            fields["next_at"] = row["next_at"]
        written = await work.one(
            "exports.rewrite",
            parts=_COLUMNS,
            ref=row["ref"],
            actor=work.actor,
            now=clock.now(),
            **fields,
        )
        if written is None:
            raise Unknown(SINGULAR, export)
        await audit.record(work, EXPORT, "change", row, written)
        return written


def _sent(row: Record) -> dict[str, Any]:
    """An export as its body would be."""
    return {
        **row["shape"],
        "name": row["name"],
        "friendlyId": row["friendly_id"],
        "segment": row["segment_ref"] and str(row["segment_ref"]),
        "definitionType": row["definition_type"],
        "schedule": row["schedule"],
        "destination": row["destination"],
        "webhook": row["webhook"],
    }


async def delete(work: Work, export: UUID | str, expected: Expected | None = None) -> None:
    """Remove an export with its executions and their files."""
    if expected is not None:
        async with work.transaction():
            expect(expected, await _locked(work, export))
            return await delete(work, export)
    row = await fetch(work, export)
    files = Files.of(work.settings)
    # The files first: were this cut off after the rows, nothing would lead to them any more.
    names = [each["name"] for each in await work.all("exports.names", export=row["ref"])]
    async with work.released():
        for name in names:
            await asyncio.to_thread(files.remove, name)
    async with work.transaction():
        if await work.run("exports.delete", ref=row["ref"]):
            await audit.record(work, EXPORT, "delete", row, None)


async def start(work: Work, export: UUID | str, execution_type: str = INSTANT_RUN) -> Record:
    """Queue an execution; it runs in the background. Raises `Conflict` without a source."""
    async with work.transaction():
        row = await fetch(work, export)
        segment = await source_of(work, row)
        if segment is None:
            raise Conflict(NO_SOURCE)
        execution = await work.one(
            "exports.begin",
            parts=_EXECUTION,
            ref=uuid4(),
            export=row["ref"],
            execution_type=execution_type,
            definition_type=row["definition_type"],
            segment_execution_type="LIVE" if segment["status"] == LIVE else "ON_DEMAND",
            now=clock.now(),
        )
        if execution is None:
            raise RuntimeError("an execution was not stored")
        lock = lock_of_runs(work, row["ref"])
        await background.defer(work, RUN, lock=lock, execution=str(execution["ref"]))
        if execution_type == INSTANT_RUN:
            await audit.record(work, EXPORT, "run", row, row, execution=str(execution["ref"]))
        return execution


def lock_of_runs(work: Work, export: UUID) -> str:
    """One execution of an export runs at a time: a delta follows the one before it."""
    return f"{work.workspace} export {export}"


async def start_due(work: Work) -> int:
    """Queue the exports whose time has come, each by itself; how many."""
    queued, now = 0, clock.now()
    after: tuple[datetime, UUID] = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
    while True:
        before = after
        try:
            async with work.transaction():
                row = await work.one(
                    "exports.due", parts=_COLUMNS, now=now, after=after[0], after_ref=after[1]
                )
                if row is None:
                    return queued
                after = row["next_at"], row["ref"]
                queued += await _start_scheduled(work, row)
        except Exception:
            if after == before:
                raise
            log.exception("an audience export that is due cannot be started")


async def _start_scheduled(work: Work, row: Record) -> bool:
    """Queue a locked export that is due; False where that cannot be, which holds up no other."""
    try:
        following = next_time(row["schedule"], clock.now())
    except Invalid as invalid:
        log.warning("export %s is not scheduled: %s", row["friendly_id"], invalid.message)
        following = None
    if row["segment_ref"] is None:
        following = None
    await work.run("exports.schedule", ref=row["ref"], next_at=following)
    if following is None:
        return False
    await start(work, row["ref"], SCHEDULED)
    return True


async def source_of(work: Work, export: Record) -> Record | None:
    """The segment that an export reads; None once it was deleted."""
    ref = export["segment_ref"]
    return await work.one("segments.fetch", parts=_SEGMENT, ref=ref, friendly_id=None)


async def latest(work: Work, export: UUID | str) -> Record:
    """A1: the listing of the last good execution; 404 before there is one."""
    row = await fetch(work, export)
    execution = await work.one("exports.latest", parts=_EXECUTION, export=row["ref"])
    if execution is None:
        raise NotFound
    return await _listing(work, row, execution)


async def finished(work: Work, export: UUID | str) -> tuple[Record, list[Record]]:
    """A2: an export and its executions that have ended, newest first."""
    row = await fetch(work, export)
    every = await work.all(
        "exports.executions", parts=_EXECUTION, export=row["ref"], limit=MOST_LISTED
    )
    return row, [execution for execution in every if execution["status"] in FINISHED]


async def executions(work: Work, export: UUID | str) -> tuple[Record, list[Record]]:
    """An export and all its executions, newest first."""
    row = await fetch(work, export)
    every = await work.all(
        "exports.executions", parts=_EXECUTION, export=row["ref"], limit=MOST_LISTED
    )
    return row, every


async def listing(work: Work, execution: UUID) -> Record:
    """A3: the listing of one execution; 400 while it has no files (EU-6)."""
    found = await work.one("exports.find_execution", parts=_EXECUTION, ref=execution)
    if found is None:
        raise Unknown("Audience export execution", execution)
    if found["status"] != SUCCESS:
        raise BadRequest("Export job is not finished")
    return await _listing(work, await fetch(work, found["export_ref"]), found)


async def _listing(work: Work, row: Record, execution: Record) -> Record:
    """Files with links that need no credentials until they expire."""
    expiry = clock.now() + signed_urls.LIFE
    files = []
    for file in await work.all("exports.files", execution=execution["ref"]):
        path = f"{signed_urls.PREFIX}/{work.workspace}/{execution['ref']}/export/{file['number']}"
        signed = await signed_urls.sign(work, "GET", path)
        expiry = min(expiry, signed["expiry"])
        files.append({**file, "href": signed["href"]})
    return {"export": row, "execution": execution, "expire_at": expiry, "files": files}


async def file_name(work: Work, execution: UUID, number: int) -> str:
    """Where a file is kept; raises `NotFound`."""
    for file in await work.all("exports.files", execution=execution):
        if file["number"] == number:
            return str(file["name"])
    raise NotFound


def next_time(schedule: str | None, after: datetime) -> datetime | None:
    """When a schedule comes next, in UTC; raises `Invalid` for what is none."""
    if schedule is None:
        return None
    from croniter import CroniterBadDateError, croniter  # noqa: PLC0415 - of use to few requests

    line = CRONS.get(schedule.upper(), schedule)
    # A long list of values takes seconds to read.
    if len(line) > LONGEST_SCHEDULE or len(line.split()) != 5 or not croniter.is_valid(line):
        raise Invalid(Problem("schedule", "must be DAILY, WEEKLY or a cron line of five fields"))
    try:
        following: datetime = croniter(line, after).get_next(datetime)
    except CroniterBadDateError:
        raise Invalid(Problem("schedule", "names a day that never comes")) from None
    return following


async def _locked(work: Work, export: UUID | str) -> Record:
    ref = (await fetch(work, export))["ref"]
    row = await work.one("exports.lock", parts=_COLUMNS, ref=ref)
    if row is None:
        raise Unknown(SINGULAR, export)
    return row


async def _checked(
    work: Work, body: Mapping[str, Any], stored: Record | None = None
) -> dict[str, Any]:
    """The columns of a body; `stored`: the export that it changes, whose filter was checked."""
    problems: list[Problem] = []
    fields: dict[str, Any] = {}
    name = body.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= segments.LONGEST_NAME:
        problems.append(Problem("name", f"size must be between 1 and {segments.LONGEST_NAME}"))
        name = "x"
    friendly = body.get("friendlyId") or segments.friendly_id(name)
    if not isinstance(friendly, str) or not segments.FRIENDLY.fullmatch(friendly):
        problems.append(Problem("friendlyId", "must be lower-case letters, digits and underscores"))
    kind = str(body.get("definitionType", FULL_SYNC)).upper()
    if kind not in (FULL_SYNC, DELTA):
        problems.append(Problem("definitionType", "value must be one of FULL_SYNC,DELTA"))
    wanted = body.get("segment")
    fields["segment"] = None if wanted is None else await segments.hold(work, _text(wanted))
    # An export may stay without a source that is gone, but not lose one.
    is_gone = wanted is None and stored is not None and stored["segment_ref"] is None
    if fields["segment"] is None and not is_gone:
        problems.append(Problem("segment", "there is no such segment"))
    webhook = body.get("webhook")
    if webhook is not None:
        problems += segments.web_address_problems(work, "webhook", webhook)
    shape = {each: body[each] for each in _SHAPE if body.get(each) is not None}
    problems += await _shape_problems(work, shape, stored)
    destination = body.get("destination")
    problems += _destination_problems(work, destination, shape)
    schedule = body.get("schedule")
    try:
        fields["next_at"] = next_time(None if schedule is None else str(schedule), clock.now())
    except Invalid as invalid:
        problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    return {
        **fields,
        "name": name.strip(),
        "friendly_id": friendly,
        "definition_type": kind,
        "shape": Json(shape),
        "schedule": schedule,
        "destination": None if destination is None else Json(destination),
        "webhook": webhook,
        "webhook_secret": stored_secrets.new_webhook_secret(work)
        if webhook or (destination or {}).get("type") == "WEBHOOK"
        else None,
    }


async def _shape_problems(
    work: Work, shape: Mapping[str, Any], stored: Record | None
) -> Sequence[Problem]:
    """What is wrong with the columns and the filter of an export."""
    try:
        await traits.hold(work)
        rules.read_shape(shape, await traits.known(work))
        if "filter" in shape:
            before = stored["shape"].get("filter") if stored else None
            await segments.check(work, shape["filter"], before)
    except Invalid as invalid:
        return invalid.problems
    return []


def _destination_problems(work: Work, destination: Any, shape: Mapping[str, Any]) -> list[Problem]:
    """A place that the operator lists, or a web address that takes batches."""
    if destination is None:
        return []
    url = destination.get("url") if isinstance(destination, dict) else None
    kind = destination.get("type") if isinstance(destination, dict) else None
    if kind not in ("FOLDER", "WEBHOOK") or not isinstance(url, str) or not url:
        return [Problem("destination", "must have a type, FOLDER or WEBHOOK, and a url")]
    if kind == "FOLDER":
        try:
            destination_of(work.settings, url)
        except BadDestination as error:
            return [Problem("destination.url", str(error))]
    if kind == "WEBHOOK" and (bad := segments.web_address_problems(work, "destination.url", url)):
        return bad
    if kind == "WEBHOOK" and str(shape.get("format")).upper() not in ("NDJSON", "JSON"):
        return [Problem("format", "must be JSON or NDJSON for a webhook")]
    return []


def _text(value: Any) -> UUID | str:
    text = str(value)
    try:
        return UUID(text)
    except ValueError:
        return text


_SHAPE: Final = (
    *("format", "columns", "template", "delimiter", "header", "quote", "guarded", "filter"),
)
_COLUMNS: Final = {"columns": ("exports.columns",)}
_SEGMENT: Final = {"columns": ("segments.columns",)}
_EXECUTION: Final = {"execution": ("exports.execution",)}
