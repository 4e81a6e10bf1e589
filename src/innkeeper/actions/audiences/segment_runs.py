"""Calculate segments: record each run, store the members of Live segments, queue notifications."""

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import background
from innkeeper.actions.audiences import segment_questions, segments, traits, webhooks
from innkeeper.errors import ApiError, Unavailable
from innkeeper.lake import engines
from innkeeper.lake.flush import flush_all
from innkeeper.lake.locks import REFRESH, alone
from innkeeper.lake.snapshot import opened
from innkeeper.resources.base import Record
from innkeeper.resources.messages import SegmentMessage
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
"""With this many changed guests, Live segments are recalculated for all guests."""
NOTIFICATION_SIZE: Final = 1000
"""Maximum number of guests in one message about entries or exits."""


async def run(work: Work, segment: UUID | str) -> Record:
    """Calculate a segment now, store its size and sample, and return the recorded run."""
    row = await segments.fetch(work, segment)
    return await _record_run(work, row, ON_DEMAND, store=row["status"] == LIVE)


async def runs(work: Work, segment: UUID | str, limit: int = 50) -> list[Record]:
    """List the newest runs; first marks interrupted runs as failed."""
    row = await segments.fetch(work, segment)
    await fail_cut_off(work)
    return await work.all("segments.runs", segment=row["ref"], limit=limit)


async def fail_cut_off(work: Work) -> None:
    """Mark runs as failed that started longer ago than the time limit of any run."""
    settings = work.settings
    longest = timedelta(seconds=2 * (settings.lake_query_seconds + settings.sql_segment_seconds))
    now = clock.now()
    await work.run("segments.fail_cut_off", now=now, before=now - longest)


async def publish(work: Work, segment: UUID) -> None:
    """Calculate a segment that is being published and make it Live; on failure, restore its
    previous status."""
    async with alone(work, REFRESH):
        row = await segments.fetch(work, segment)
        run = await _record_run(work, row, PUBLISH, store=True)
    await segments.finish_publishing(work, segment, is_successful=run["state"] == SUCCESS)


async def recalculate(work: Work, segment: UUID) -> None:
    """Recalculate a segment for all guests if it is still Live."""
    async with alone(work, REFRESH):
        rows = await work.all("segments.in_status", statuses=[LIVE])
        for row in rows:
            if row["ref"] == segment:
                await _record_run(work, row, TRAIT_RUN, store=True)


async def recalculate_all_live(work: Work) -> None:
    """Recalculate every Live segment for all guests: rules about days match other guests now."""
    async with alone(work, REFRESH):
        statuses = [LIVE, SCHEDULED]
        rows = await work.all("segments.in_status", statuses=statuses)

        async def calculate(row: Row) -> None:
            await _record_run(work, row, NIGHTLY, store=True)

        await background.try_each(rows, calculate, "calculating a segment")


async def refresh(work: Work) -> int:
    """Update Live segments with the guests that changed; returns how many guests changed."""
    await flush_all(work)
    async with alone(work, REFRESH):
        await fail_cut_off(work)
        touched = await work.all("segments.touched", most=MOST_TOUCHED)
        if not touched:
            return 0
        rows = await work.all("segments.in_status", statuses=[LIVE])
        changed = {str(each["guest_ref"]) for each in touched}
        is_limited = len(touched) == MOST_TOUCHED

        async def update(row: Row) -> None:
            guests = None if is_limited or await _depends_on_others(work, row) else changed
            await _record_run(work, row, LIVE_RUN, store=True, guests=guests)

        await background.try_each(rows, update, "calculating a segment")
        await work.run("segments.forget_touched", sequences=[each["sequence"] for each in touched])
        return len(changed)


async def _depends_on_others(work: Work, row: Row) -> bool:
    """Whether a change of one guest can make others enter or leave a segment.

    False if the definition is invalid: the run reports that.
    """
    from innkeeper.lake.segment_members import Question  # noqa: PLC0415 - loads SQLGlot

    try:
        return Question.of(row["definition"], await traits.list_current(work)).relative
    except ApiError:
        return False


async def _record_run(
    work: Work, row: Row, kind: str, *, store: bool, guests: Collection[str] | None = None
) -> Record:
    """Calculate a segment and record the run; returns the run.

    `guests` limits the calculation to changed guests; None calculates all. Records a failure and
    raises it again if it is temporary, or, for an `ON_DEMAND` run, if it is an internal error. Any
    other failure is caused by the segment and would repeat, so it is only recorded.
    """
    ref = uuid4()
    is_update = kind == LIVE_RUN
    if not is_update:
        await _begin_run(work, row, ref, kind)
    outcome: dict[str, Any] = {
        **dict.fromkeys(("sequence", "snapshot", "rows", "entered", "departed", "error")),
        "state": SUCCESS,
    }
    try:
        outcome |= await _calculate(work, row, store=store, guests=guests, is_update=is_update)
    except Exception as fault:
        outcome |= {"state": FAILED, "error": _failure_message(fault)}
        if not isinstance(fault, ApiError):
            log.exception("segment %s cannot be calculated", row["ref"])
        # The job runs again; the changed guests stay queued until then.
        is_temporary = is_update if isinstance(fault, Unavailable) else may_pass(fault)
        if is_temporary or (kind == ON_DEMAND and not isinstance(fault, ApiError)):
            await _end_run(work, row, ref, kind, outcome, is_update=is_update)
            raise
    return await _end_run(work, row, ref, kind, outcome, is_update=is_update)


async def _begin_run(work: Work, row: Row, ref: UUID, kind: str) -> None:
    await work.run(
        "segments.begin_run",
        ref=ref,
        segment=row["ref"],
        kind=kind,
        engine=engines.answering(work.settings, row["definition"]),
        revision=row["revision"],
    )


async def _end_run(
    work: Work, row: Row, ref: UUID, kind: str, outcome: dict[str, Any], *, is_update: bool
) -> Record:
    """Store the outcome of a run; an update without effect is not stored."""
    has_effect = outcome["entered"] or outcome["departed"] or outcome["error"]
    if is_update and has_effect:
        # An update is recorded as a run only if it changed the segment or failed.
        await _begin_run(work, row, ref, kind)
    run = await work.one("segments.end_run", ref=ref, **outcome)
    return run or {"ref": ref, "segment_ref": row["ref"], "kind": kind, **outcome}


async def _calculate(
    work: Work, row: Row, *, store: bool, guests: Collection[str] | None, is_update: bool
) -> dict[str, Any]:
    """Find the members of a segment in one snapshot; returns the columns of the run.

    `store`: also store the members and queue notifications; without it members are only counted.
    """
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
            size, members = await count_members(lake, question, segment_questions.SAMPLE)
        else:
            members = await find_members(lake, question, guests)
            entered, departed = await _store_members(work, row, members, guests)
            counted = await work.one("segments.count_members", segment=row["ref"])
            size = counted["size"] if counted else 0
        if not is_update or entered or departed:
            sample = row["sample"] if guests is not None else members[: segment_questions.SAMPLE]
            total = await segment_questions.count_guests(work)
            # The previous size is that of the last run for all guests, not of the last update.
            await work.run(
                "segments.calculated",
                ref=row["ref"],
                size=size,
                total=total,
                sample=sample,
                keep_previous=is_update,
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
    work: Work, row: Row, members: list[str], guests: Collection[str] | None
) -> tuple[list[Row], list[Row]]:
    """Store the current members and queue notifications; returns the entered and departed guests.

    Runs in the transaction of the snapshot. `guests`: the guests that were calculated; None: all.
    """
    await work.run("segments.create_current_members")
    await work.copy_in("segments.copy_current_members", ((UUID(ref),) for ref in members))
    refs = None if guests is None else list(guests)
    departed = await work.all("segments.depart", segment=row["ref"], guests=refs)
    entered = await work.all("segments.enter", segment=row["ref"])
    for change, rows in (("entered", entered), ("departed", departed)):
        await queue_notifications(work, row, change, [each["guest_ref"] for each in rows])
    # The members of the next segment are copied to the same table.
    await work.run("segments.empty_current_members")
    return entered, departed


async def queue_notifications(
    work: Work, segment: Row, change: str, guests: Sequence[UUID]
) -> None:
    """Queue messages to the webhook of a segment that guests `entered` or `departed`."""
    if not segment["webhook"]:
        return
    for start in range(0, len(guests), NOTIFICATION_SIZE):
        message = SegmentMessage(
            event=f"segment.{change}",
            segment_ref=segment["ref"],
            friendly_id=segment["friendly_id"],
            segment_name=segment["name"],
            guests=[*guests[start : start + NOTIFICATION_SIZE]],
            at=clock.now(),
        )
        await webhooks.queue_message(work, segment["webhook"], segment["webhook_secret"], message)


def _failure_message(fault: Exception) -> str:
    """Return the message of an API error, or the class name of any other exception."""
    return fault.message if isinstance(fault, ApiError) else type(fault).__name__
