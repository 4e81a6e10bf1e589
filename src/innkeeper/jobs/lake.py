"""The lake kept fresh: flush, compaction; Live segments; messages to other systems."""

from datetime import timedelta
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


@scheduled("* * * * * */5", "lake.flush")
async def flush(work: Work) -> None:
    """Flush what changed, and look at it with every Live segment."""
    row = await work.one("lake.waiting")
    if row is None:
        return
    # Half a tick sooner: a tick that comes a moment early must not wait for the next.
    pause = timedelta(seconds=work.settings.live_segment_seconds - 2.5)
    recently = row["flushed_at"] is not None and row["flushed_at"] + pause > clock.now()
    if (row["waiting"] or row["touched"]) and not recently:
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
    """A job for each address that has messages due."""
    await webhooks.queue_due(work)


@lending_task(webhooks.SEND)
async def send_to(lend: Lend, url: str) -> None:
    """Messages to one address, in their order; others have a slot between its turns."""
    turn = await webhooks.send_to(lend, url)
    if turn.pause is not None:
        raise RetryAt(clock.now() + turn.pause)


@task(PUBLISH)
async def publish(work: Work, segment: str) -> None:
    """Calculate a segment for the first time and make it Live."""
    await segment_runs.publish(work, UUID(segment))


@task(RECALCULATE)
async def recalculate(work: Work, segment: str) -> None:
    """Calculate a Live segment whole: a trait that it asks for means something else now."""
    await segment_runs.recalculate(work, UUID(segment))


@patient_task(RUN)
async def run_export(work: Work, execution: str) -> None:
    """One execution of an export; cut off, it starts anew, and while storage is away, later."""
    await export_runs.run(work, UUID(execution))


@lending_task(DELIVER)
async def deliver(lend: Lend, execution: str) -> None:
    """Files of an execution to their destination, again until they are there or given up."""
    again = await deliveries.deliver(lend, UUID(execution))
    if again is not None:
        raise RetryAt(again)


@scheduled("* * * * *", "exports.due")
async def exports_due(work: Work) -> None:
    """Exports whose time has come."""
    await audience_exports.start_due(work)


@scheduled("23 3 * * *", "exports.forget")
async def exports_forget(work: Work) -> None:
    """Files of exports that are kept no longer."""
    await export_runs.forget_old(work)
