"""What waits, as metrics: read from the database when asked for, the same in every process."""

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from innkeeper.actions.admin import background, workspaces
from innkeeper.actions.events import quarantine
from innkeeper.store.database import Database

_ASKER: Final = "metrics"


async def backlog(database: Database) -> bytes:
    """Background jobs by status, and what waits in quarantine, in Prometheus's text format.

    Workspaces are added up: their names are nobody's business here. Raises `Unavailable`.
    """
    jobs = GaugeMetricFamily(
        "innkeeper_jobs", "Background jobs that are due, run, or failed.", labels=["status"]
    )
    waiting = GaugeMetricFamily(
        "innkeeper_quarantine_waiting", "Events, or parts of events, that wait to be replayed."
    )
    async with database.control(_ASKER) as work:
        for status, count in (await background.count_jobs(work)).items():
            jobs.add_metric([status], count)
        names = [row["name"] for row in await workspaces.list_all(work)]
    total = 0
    for name in names:
        async with database.work(name, _ASKER) as work:
            total += sum(row["waiting"] for row in await quarantine.reasons(work))
    waiting.add_metric([], total)
    return generate_latest(_CachedCounts([jobs, waiting]))


class _CachedCounts(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics
