"""What every measurement gets, and how its lines read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.load import Load, Requests, Sample, compare
from bench.servers import Server

HEAD = "| Work | requests/s | p50 ms | p99 ms | floor requests/s | floor p99 ms | ratio |"
RULE = "|---|---:|---:|---:|---:|---:|---:|"
CONNECTIONS = (1, 16, 64)


@dataclass(frozen=True)
class Bench:
    """A running server, its floor, and how long and how large to measure."""

    ours: Server
    floor: Server
    seconds: float
    full: bool
    """The large data sets of the issues, instead of small ones that fit in a minute."""

    def rows(self, what: str, ours: Requests, floor: Requests) -> Iterator[str]:
        """A line for each number of connections."""
        for connections in CONNECTIONS:
            loads = [Load(self.ours, ours), Load(self.floor, floor)]
            pair = compare(loads, connections, self.seconds)
            yield row(f"{what}, {connections} connection{'s' * (connections > 1)}", *pair)


Section = Callable[[Bench], Iterator[str]]
"""Yields the lines of one section of the page, in Markdown, as they are measured."""


def row(what: str, ours: Sample, beneath: Sample) -> str:
    """One line of the table."""
    if ours.failures or beneath.failures:
        what += f" ({ours.failures} and {beneath.failures} failed)"
    return (
        f"| {what} | {ours.per_second:,.0f} | {ours.p50:.2f} | {ours.p99:.2f} "
        f"| {beneath.per_second:,.0f} | {beneath.p99:.2f} "
        f"| {ours.per_second / max(beneath.per_second, 0.001):.2f} |"
    )
