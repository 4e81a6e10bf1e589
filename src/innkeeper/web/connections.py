"""How many connections a process holds, and how long each may let it wait (S4)."""

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
    "Connections that were closed because a client was too slow, or there were too many.",
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
    """What a client that sends or reads must manage on average, beside the seconds it has."""

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
        """Close it when its client is too slow; `elapsed` seconds ago it was checked before."""

    def waiting_since(self) -> float | None:
        """When it began to wait for a request; None while one is being served."""

    def drop(self, reason: str) -> None:
        """Close it at once."""


class ConnectionWatch:
    """Checks the connections of one server once a second, while there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: set[Connection]) -> None:
        self._loop = loop
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None
        self._swept = 0.0

    def admit(self, connection: Connection, most: int) -> bool:
        """Whether a new connection may stay. Over the limit the one that has waited longest for
        a request is closed for it; where all are being served there is no room."""
        if self._timer is None:
            self._swept = monotonic()
            self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        if len(self._connections) <= most:
            return True
        waiting = [
            (since, id(each), each)
            for each in self._connections
            if each is not connection and (since := each.waiting_since()) is not None
        ]
        if not waiting:
            return False
        _, _, longest = min(waiting)
        self._connections.discard(longest)
        longest.drop("limit")
        return True

    def _sweep(self) -> None:
        now = monotonic()
        elapsed, self._swept = now - self._swept, now
        for each in list(self._connections):
            each.check(now, elapsed)
        again = bool(self._connections)
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep) if again else None


_watches: WeakKeyDictionary[object, ConnectionWatch] = WeakKeyDictionary()


def watch_of(
    server_state: object, loop: asyncio.AbstractEventLoop, connections: set[Connection]
) -> ConnectionWatch:
    """The watch of the server that a connection belongs to."""
    watch = _watches.get(server_state)
    if watch is None:
        watch = _watches[server_state] = ConnectionWatch(loop, connections)
    return watch
