"""Room for events: a partition a month, made before an event of it is written."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from innkeeper import clock
from innkeeper.store.work import Work

_months: set[tuple[UUID, int, int]] = set()
"""(version of the configuration, year, month) that have a partition: another version may be that
of a workspace which was reset."""
_MOST_MONTHS: Final = 10_000


async def ensure_partition(work: Work, settings: UUID, at: datetime) -> None:
    """See to it that the month of `at` has a partition, before an event of it is written.

    Only what is committed is remembered: inside a transaction, which may be undone, it is made
    sure of each time.
    """
    month = (settings, at.year, at.month)
    if month in _months:
        return
    await work.run("events.add_partition", instant=at)
    if not work.in_transaction:
        if len(_months) >= _MOST_MONTHS:
            _months.clear()
        _months.add(month)


async def add_partitions(work: Work) -> None:
    """Make room for the events of this month and the next ones."""
    now = clock.now()
    for days in (-2, 2, 31, 62):
        await work.run("events.add_partition", instant=now + timedelta(days=days))
