"""Calculating segments: each run recorded, membership of Live ones kept, changes told."""

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import background
from innkeeper.actions.audiences import segments, traits, webhooks
from innkeeper.errors import ApiError, Unavailable
from innkeeper.lake import engines
from innkeeper.lake.flush import flush_all
from innkeeper.lake.locks import REFRESH, alone
from innkeeper.lake.snapshot import opened
from innkeeper.resources.base import Record
from innkeeper.resources.segments import LIVE, SCHEDULED
from innkeeper.store.driver_errors import may_pass
from innkeeper.store.work import Row, Work

log = logging.getLogger(__name__)

ON_DEMAND: Final = "ON_DEMAND"
PUBLISH: Final = "PUBLISH"
NIGHTLY: Final = "NIGHTLY"
LIVE_RUN: Final = "LIVE"
TRAIT_RUN: Final = "TRAIT"
SUCCESS: Final = "SUCCESS"
FAILED: Final = "FAILED"
MOST_TOUCHED: Final = 20_000
"""Changed guests from which on a Live segment is calculated whole."""
NOTIFICATION_SIZE: Final = 1000
"""Guests in one message of entries and exits."""


async def run(work: Work, segment: UUID | str) -> Record:
    """Calculate a segment now; its run, and its size and sample are kept."""
    row = await segments.fetch(work, segment)
    return await _record_run(work, row, ON_DEMAND, store=row["status"] == LIVE)


async def runs(work: Work, segment: UUID | str, limit: int = 50) -> list[Record]:
    """The newest runs; those that were cut off say so."""
    row = await segments.fetch(work, segment)
    await fail_cut_off(work)
    return await work.all("segments.runs", segment=row["ref"], limit=limit)


async def fail_cut_off(work: Work) -> None:
    """Runs that began longer ago than any may take have failed."""
    settings = work.settings
    longest = timedelta(seconds=2 * (settings.lake_query_seconds + settings.sql_segment_seconds))
    now = clock.now()
    await work.run("segments.fail_cut_off", now=now, before=now - longest)


async def publish(work: Work, segment: UUID) -> None:
    """Calculate a segment that is being published and make it Live; back where it fails."""
    async with alone(work, REFRESH):
        row = await segments.fetch(work, segment)
        run = await _record_run(work, row, PUBLISH, store=True)
    await segments.finish_publishing(work, segment, good=run["state"] == SUCCESS)


async def recalculate(work: Work, segment: UUID) -> None:
    """Calculate a Live segment whole; nothing where it is not Live any more."""
    async with alone(work, REFRESH):
        rows = await work.all("segments.in_status", parts=_COLUMNS, statuses=[LIVE])
        for row in rows:
            if row["ref"] == segment:
                await _record_run(work, row, TRAIT_RUN, store=True)


async def recalculate_all_live(work: Work) -> None:
    """Calculate every Live segment whole: days have passed, so rules about days mean others."""
    async with alone(work, REFRESH):
        statuses = [LIVE, SCHEDULED]
        rows = await work.all("segments.in_status", parts=_COLUMNS, statuses=statuses)

        async def calculate(row: Row) -> None:
            await _record_run(work, row, NIGHTLY, store=True)

        await background.try_each(rows, calculate, "calculating a segment")


async def refresh(work: Work) -> int:
    """Bring Live segments up to date with what changed; how many guests were looked at."""
    await flush_all(work)
    async with alone(work, REFRESH):
        await fail_cut_off(work)
        touched = await work.all("segments.touched", most=MOST_TOUCHED)
        if not touched:
            return 0
        rows = await work.all("segments.in_status", parts=_COLUMNS, statuses=[LIVE])
        asked = {str(each["guest_ref"]) for each in touched}
        many = len(touched) == MOST_TOUCHED

        async def look(row: Row) -> None:
            some = None if many or await _depends_on_others(work, row) else asked
            await _record_run(work, row, LIVE_RUN, store=True, asked=some)

        await background.try_each(rows, look, "calculating a segment")
        await work.run("segments.forget_touched", sequences=[each["sequence"] for each in touched])
        return len(asked)


async def _depends_on_others(work: Work, row: Row) -> bool:
    """Whether a change of one guest can move others in or out; False where it cannot be read."""
    from innkeeper.lake.segment_members import Question  # noqa: PLC0415 - loads SQLGlot

    try:
        return Question.of(row["definition"], await traits.list_current(work)).relative
    except ApiError:
        return False


async def _record_run(
    work: Work, row: Row, kind: str, *, store: bool, asked: Collection[str] | None = None
) -> Record:
    """Calculate a segment, and record how that went.

    Raises what may pass, once it is recorded, and for who asks for it now a fault of ours: any
    other failure is the segment's own, and comes again with each run.
    """
    ref, now = uuid4(), clock.now()
    quiet = kind == LIVE_RUN
    if not quiet:
        await work.run(
            "segments.begin_run",
            ref=ref,
            segment=row["ref"],
            kind=kind,
            engine=engines.answering(work.settings, row["definition"]),
            revision=row["revision"],
            now=now,
        )
    ended: dict[str, Any] = {
        **dict.fromkeys(("sequence", "snapshot", "rows", "entered", "departed", "error")),
        "state": SUCCESS,
    }
    try:
        ended |= await _calculate(work, row, store=store, asked=asked, quiet=quiet)
    except Exception as fault:
        ended |= {"state": FAILED, "error": _failure_message(fault)}
        if not isinstance(fault, ApiError):
            log.exception("segment %s cannot be calculated", row["ref"])
        # The job tries again; what changed is not forgotten before that.
        again = quiet if isinstance(fault, Unavailable) else may_pass(fault)
        if again or (kind == ON_DEMAND and not isinstance(fault, ApiError)):
            await _end_run(work, row, ref, kind, ended, quiet=quiet)
            raise
    return await _end_run(work, row, ref, kind, ended, quiet=quiet)


async def _end_run(
    work: Work, row: Row, ref: UUID, kind: str, ended: dict[str, Any], *, quiet: bool
) -> Record:
    changed = ended["entered"] or ended["departed"] or ended["error"]
    if quiet and changed:
        # Looking at what changed is a run of its own only where it changed the segment.
        await work.run(
            "segments.begin_run",
            ref=ref,
            segment=row["ref"],
            kind=kind,
            engine=engines.answering(work.settings, row["definition"]),
            revision=row["revision"],
            now=clock.now(),
        )
    run = await work.one("segments.end_run", ref=ref, now=clock.now(), **ended)
    return run or {"ref": ref, "segment_ref": row["ref"], "kind": kind, **ended}


async def _calculate(
    work: Work, row: Row, *, store: bool, asked: Collection[str] | None, quiet: bool
) -> dict[str, Any]:
    from innkeeper.lake.segment_members import (  # noqa: PLC0415 - loads SQLGlot
        Question,
        count_members,
        find_members,
    )

    question = Question.of(row["definition"], await traits.list_current(work))
    async with opened(work, engines.answering(work.settings, row["definition"])) as lake:
        entered: Sequence[Row] = ()
        departed: Sequence[Row] = ()
        if not store:
            size, found = await count_members(lake, question, segments.SAMPLE)
        else:
            found = await find_members(lake, question, asked)
            entered, departed = await _store_members(work, row, found, asked)
            counted = await work.one("segments.count_members", segment=row["ref"])
            size = counted["size"] if counted else 0
        if not quiet or entered or departed:
            sample = row["sample"] if asked is not None else found[: segments.SAMPLE]
            total = await segments.count_guests(work)
            # What changed is told against the last whole run, not against seconds ago.
            await work.run(
                "segments.calculated",
                ref=row["ref"],
                size=size,
                total=total,
                sample=sample,
                keep_previous=quiet,
                now=lake.snapshot.taken_at,
            )
        return {
            "sequence": lake.snapshot.sequence,
            "snapshot": lake.snapshot.token,
            "rows": size,
            "entered": len(entered),
            "departed": len(departed),
        }


async def _store_members(
    work: Work, row: Row, found: list[str], asked: Collection[str] | None
) -> tuple[list[Row], list[Row]]:
    """Store who is a member now; tell who entered and who left. In the question's transaction."""
    await work.run("segments.make_found")
    await work.copy_in("segments.copy_found", ((UUID(ref),) for ref in found))
    guests = None if asked is None else list(asked)
    departed = await work.all("segments.depart", segment=row["ref"], asked=guests)
    entered = await work.all("segments.enter", segment=row["ref"], now=clock.now())
    for change, rows in (("entered", entered), ("departed", departed)):
        await queue_notifications(work, row, change, [each["guest_ref"] for each in rows])
    # The next segment's members go into the same table.
    await work.run("segments.empty_found")
    return entered, departed


async def queue_notifications(
    work: Work, segment: Row, change: str, guests: Sequence[UUID]
) -> None:
    """Tell who wants to know that guests `entered` or `departed`."""
    if not segment["webhook"]:
        return
    for start in range(0, len(guests), NOTIFICATION_SIZE):
        message = {
            "event": f"segment.{change}",
            "segmentRef": segment["ref"],
            "friendlyId": segment["friendly_id"],
            "segmentName": segment["name"],
            "guests": guests[start : start + NOTIFICATION_SIZE],
            "at": clock.now(),
        }
        await webhooks.queue_message(work, segment["webhook"], segment["webhook_secret"], message)


def _failure_message(fault: Exception) -> str:
    return fault.message if isinstance(fault, ApiError) else type(fault).__name__


_COLUMNS: Final = {"columns": ("segments.columns",)}
