"""Metrics of queues: read from the database on request, so that every process reports the same."""

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from innkeeper.actions.admin import background, workspaces
from innkeeper.actions.events import quarantine
from innkeeper.store.database import Database

_ACTOR: Final = "metrics"


async def queue_metrics(database: Database) -> bytes:
    """Count background jobs by status and quarantined events, in Prometheus's text format.

    The counts are sums over all workspaces, so that the metrics do not reveal their names.
    Raises `Unavailable`.
    """
    jobs = GaugeMetricFamily(
        "innkeeper_jobs", "Background jobs by status: due, running or failed.", labels=["status"]
    )
    quarantined = GaugeMetricFamily(
        "innkeeper_quarantine_waiting", "Events, or parts of events, that are in quarantine now."
    )
    async with database.control(_ACTOR) as work:
        for status, count in (await background.count_jobs(work)).items():
            jobs.add_metric([status], count)
        names = [row["name"] for row in await workspaces.list_all(work)]
    total = 0
    for name in names:
        async with database.work(name, _ACTOR) as work:
            total += sum(row["waiting"] for row in await quarantine.reasons(work))
    quarantined.add_metric([], total)
    return generate_latest(_CachedCounts([jobs, quarantined]))


class _CachedCounts(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics
