"""Tasks of the lake, Live segments, webhooks and audience exports."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin.background import RetryAt
from innkeeper.actions.audiences import (
    audience_exports,
    deliveries,
    export_runs,
    segment_runs,
    webhooks,
)
from innkeeper.actions.audiences.audience_exports import RUN
from innkeeper.actions.audiences.export_runs import DELIVER
from innkeeper.actions.audiences.segments import PUBLISH
from innkeeper.actions.audiences.traits import RECALCULATE
from innkeeper.jobs.registry import lending_task, patient_task, scheduled, task
from innkeeper.lake import compaction
from innkeeper.store.work import Lend, Work

IMPORT_FLUSH_SECONDS: Final = 30
"""Seconds between flushes during an import in a workspace without Live segments."""


@scheduled("* * * * * */5", "lake.flush")
async def flush(work: Work) -> None:
    """Flush changed rows to the lake and update every Live segment, if the pause is over.

    While a file is imported and no segment is Live, the pause is longer and starts with the
    import, which so gets the processor; a query that meets a long feed flushes it first.
    """
    row = await work.one("lake.waiting")
    if row is None:
        return
    seconds = work.settings.live_segment_seconds
    times = [row["flushed_at"]]
    if row["importing_since"] is not None:
        seconds = max(seconds, IMPORT_FLUSH_SECONDS)
        times.append(row["importing_since"])
    # Half a tick less, so that a tick that comes slightly early is not skipped.
    pause = timedelta(seconds=seconds - 2.5)
    recently = any(time is not None and time + pause > clock.now() for time in times)
    if (row["waiting"] or row["touched"]) and not recently:
        await segment_runs.refresh(work)


@scheduled("*/10 * * * *", "lake.compact")
async def compact(work: Work) -> None:
    """Merge the lake's files and drop replaced and deleted rows."""
    await compaction.compact(work)


@scheduled("0 0 * * *", "segments.nightly")
async def nightly(work: Work) -> None:
    """Recalculate every Live segment at midnight UTC, when conditions on days change."""
    await segment_runs.recalculate_all_live(work)


@scheduled("* * * * * */5", "webhooks.send")
async def send(work: Work) -> None:
    """Queue a job for each URL that has messages due."""
    await webhooks.queue_due(work)


@lending_task(webhooks.SEND)
async def send_to(lend: Lend, url: str) -> None:
    """Send messages to one URL, in order; other URLs get the slot between its turns."""
    turn = await webhooks.send_due_messages(lend, url)
    if turn.pause is not None:
        raise RetryAt(clock.now() + turn.pause)


@task(PUBLISH)
async def publish(work: Work, segment: str) -> None:
    """Calculate a segment for the first time and make it Live."""
    await segment_runs.publish(work, UUID(segment))


@task(RECALCULATE)
async def recalculate(work: Work, segment: str) -> None:
    """Recalculate a Live segment after one of its traits was redefined."""
    await segment_runs.recalculate(work, UUID(segment))


@patient_task(RUN)
async def run_export(work: Work, execution: str) -> None:
    """Run one execution of an export; an interrupted run starts again, without storage later."""
    await export_runs.run(work, UUID(execution))


@lending_task(DELIVER)
async def deliver(lend: Lend, execution: str) -> None:
    """Deliver the files of an execution, with retries until it succeeds or is cancelled."""
    retry_at = await deliveries.deliver(lend, UUID(execution))
    if retry_at is not None:
        raise RetryAt(retry_at)


@scheduled("* * * * *", "exports.due")
async def exports_due(work: Work) -> None:
    """Start the exports that are due."""
    await audience_exports.start_due(work)


@scheduled("23 3 * * *", "exports.forget")
async def exports_forget(work: Work) -> None:
    """Delete files of exports whose retention has ended."""
    await export_runs.remove_expired_files(work)
