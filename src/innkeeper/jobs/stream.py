"""Behaviour over time: sessions end, visitors are forgotten, months get their partitions."""

import logging

from innkeeper.actions.events import browsers, partitions, sessions
from innkeeper.jobs.registry import scheduled
from innkeeper.store.work import Work

log = logging.getLogger("innkeeper.jobs")


@scheduled("* * * * *", "sessions.close_idle")
async def close_idle(work: Work) -> None:
    """End sessions whose time is up, with what became of their carts."""
    await sessions.close_idle(work)


@scheduled("23 3 * * *", "visitors.purge")
async def purge_visitors(work: Work) -> None:
    """Forget visitors who were not seen for too long (`visitor_retention_days`)."""
    purged = await browsers.purge_visitors(work, work.settings.visitor_retention_days)
    if purged:
        log.info("forgot %d guests of %s", purged, work.workspace)


@scheduled("37 2 * * *", "events.add_partitions")
async def add_partitions(work: Work) -> None:
    """Make room for the events of the next months before the first one comes."""
    await partitions.add_partitions(work)
