"""Tasks of events: close idle sessions, delete old visitors, add event partitions."""

import logging

from innkeeper.actions.events import browsers, partitions, sessions
from innkeeper.jobs.registry import scheduled
from innkeeper.store.work import Work

log = logging.getLogger("innkeeper.jobs")


@scheduled("* * * * *", "sessions.close_idle")
async def close_idle(work: Work) -> None:
    """Close sessions past their timeout and store the outcome of their carts."""
    await sessions.close_idle(work)


@scheduled("23 3 * * *", "visitors.purge")
async def purge_visitors(work: Work) -> None:
    """Delete visitors that have been inactive for `visitor_retention_days`."""
    purged = await browsers.purge_visitors(work, work.settings.visitor_retention_days)
    if purged:
        log.info("deleted %d inactive visitors of %s", purged, work.workspace)


@scheduled("37 2 * * *", "events.add_partitions")
async def add_partitions(work: Work) -> None:
    """Create the event partitions of the next months ahead of time."""
    await partitions.add_partitions(work)
