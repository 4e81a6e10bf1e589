"""Counters of the outcomes of requests, which one process can add to those of another."""

from typing import Final

from prometheus_client import Counter

from innkeeper.actions.privacy.block_list import REFUSED

EVENTS: Final = Counter("innkeeper_events_total", "Acknowledged events.")
QUARANTINED: Final = Counter(
    "innkeeper_events_quarantined_total",
    "Events, or parts of events, that went to quarantine.",
    ["reason"],
)
REPLAYED: Final = Counter(
    "innkeeper_idempotent_replays_total",
    "Repeated POST requests that got the stored first response.",
)
COUNTERS: Final = (EVENTS, QUARANTINED, REPLAYED, REFUSED)

Counts = list[tuple[int, dict[str, str], float]]
"""Index in `COUNTERS`, labels, and increase."""

_reported: dict[tuple[int, tuple[tuple[str, str], ...]], float] = {}
"""Values of `COUNTERS` by index and labels when `new_counts` was last called."""


def new_counts() -> Counts:
    """Return the increases since the last call."""
    counts = []
    for index, counter in enumerate(COUNTERS):
        for sample in (each for metric in counter.collect() for each in metric.samples):
            if not sample.name.endswith("_total"):
                continue
            key = (index, tuple(sorted(sample.labels.items())))
            if more := sample.value - _reported.get(key, 0.0):
                counts.append((index, dict(sample.labels), more))
                _reported[key] = sample.value
    return counts


def count_on(counts: Counts) -> None:
    """Add the increases of another process to the counters of this one."""
    for index, labels, more in counts:
        counter = COUNTERS[index]
        (counter.labels(**labels) if labels else counter).inc(more)
