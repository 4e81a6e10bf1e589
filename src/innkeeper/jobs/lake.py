"""The lake kept fresh: flush, compaction; Live segments; messages to other systems."""

from datetime import timedelta

from innkeeper import clock
from innkeeper.actions import segment_runs, webhooks
from innkeeper.actions.segments import PUBLISH
from innkeeper.jobs.board import scheduled, task
from innkeeper.lake import compaction
from innkeeper.store.work import Work


@scheduled("* * * * * */5", "lake.flush")
async def flush(work: Work) -> None:
    """Flush what changed, and look at it with every Live segment."""
    row = await work.one("lake.waiting")
    if row is None:
        return
    pause = timedelta(seconds=work.settings.live_segment_seconds)
    recently = row["flushed_at"] is not None and row["flushed_at"] + pause > clock.now()
    if row["waiting"] and not recently:
        await segment_runs.refresh(work)


@scheduled("*/10 * * * *", "lake.compact")
async def compact(work: Work) -> None:
    """Keep files few, and free of what is old."""
    await compaction.compact(work)


@scheduled("0 0 * * *", "segments.nightly")
async def nightly(work: Work) -> None:
    """At midnight UTC days have passed: every Live segment is calculated whole."""
    await segment_runs.nightly(work)


@scheduled("* * * * * */5", "webhooks.send")
async def send(work: Work) -> None:
    """Messages that are due."""
    await webhooks.send_due(work)


@task(PUBLISH)
async def publish(work: Work, segment: str) -> None:
    """Calculate a segment for the first time and make it Live."""
    from uuid import UUID  # noqa: PLC0415

    await segment_runs.publish(work, UUID(segment))
