"""Partitions of events: one for each month, created before an event of that month is written."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from innkeeper import clock
from innkeeper.store.work import Work

EVENT_PARTITIONS: Final = "event_partitions"
"""Kind of cache entries: (version of the configuration, year, month) -> True if that month has a
partition. The version is part of the key because the workspace may be reset, which deletes its
partitions."""


async def ensure_partition(work: Work, settings: UUID, at: datetime) -> None:
    """Create the partition for the month of `at` if it does not exist.

    Only committed partitions are cached: inside a transaction, which may roll back, each call
    runs the statement.
    """
    month = (settings, at.year, at.month)
    if work.cache.get(EVENT_PARTITIONS, month):
        return
    await work.run("events.add_partition", instant=at)
    if not work.in_transaction:
        work.cache.put(EVENT_PARTITIONS, month, True)


async def add_partitions(work: Work) -> None:
    """Create the partitions of this month and the next ones."""
    now = clock.now()
    for days in (-2, 2, 31, 62):
        await work.run("events.add_partition", instant=now + timedelta(days=days))
