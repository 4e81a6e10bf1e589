"""Limits on the number of connections of a process and on the slowness of their clients (S4)."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from prometheus_client import Counter

from innkeeper.settings import Settings

SWEEP_SECONDS: Final = 1.0
CLOSED: Final = Counter(
    "innkeeper_connections_closed_total",
    "Connections closed because the client was too slow or there were too many, by reason.",
    ["reason"],
)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The settings that bound connections; times in seconds."""

    most: int = 1000
    head: float = 10.0
    body: float = 30.0
    response: float = 60.0
    bytes_per_second: int = 16 * 1024
    """Slowest average rate of a client: each of these bytes adds time to the seconds above."""

    @classmethod
    def of(cls, settings: Settings) -> "ConnectionLimits":
        return cls(
            settings.max_connections,
            settings.head_seconds,
            settings.body_seconds,
            settings.response_seconds,
        )


class Connection(Protocol):
    """A connection as `ConnectionWatch` sees it."""

    def check(self, now: float, elapsed: float) -> None:
        """Close it when its client is too slow; the last check was `elapsed` seconds ago."""

    def waiting_since(self) -> float | None:
        """Monotonic time since which it waits for a request; None while a request is running."""

    def drop(self, reason: str) -> None:
        """Close it at once."""


class ConnectionWatch:
    """Checks the connections of one server once a second, as long as there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: set[Connection]) -> None:
        self._loop = loop
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None
        self._swept_at = 0.0

    def admit(self, connection: Connection, most: int) -> bool:
        """Return whether a new connection may stay open.

        Over the limit of `most` it closes the connection that has waited longest for a request;
        the new one may not stay when every other connection runs a request.
        """
        if self._timer is None:
            self._swept_at = monotonic()
            self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        if len(self._connections) <= most:
            return True
        idle = [
            (since, id(each), each)
            for each in self._connections
            if each is not connection and (since := each.waiting_since()) is not None
        ]
        if not idle:
            return False
        _, _, longest = min(idle)
        self._connections.discard(longest)
        longest.drop("limit")
        return True

    def _sweep(self) -> None:
        now = monotonic()
        elapsed, self._swept_at = now - self._swept_at, now
        for each in list(self._connections):
            each.check(now, elapsed)
        is_needed = bool(self._connections)
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep) if is_needed else None


_watches: WeakKeyDictionary[object, ConnectionWatch] = WeakKeyDictionary()


def watch_of(
    server_state: object, loop: asyncio.AbstractEventLoop, connections: set[Connection]
) -> ConnectionWatch:
    """Return the watch of the server that a connection belongs to; creates it on first use."""
    watch = _watches.get(server_state)
    if watch is None:
        watch = _watches[server_state] = ConnectionWatch(loop, connections)
    return watch
