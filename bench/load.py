"""A small load generator: keep-alive HTTP/1.1 over raw sockets, one request at a time each."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median

from bench.servers import Server

Requests = Callable[[int], bytes]
"""The bytes of the n-th request."""
FollowUp = Callable[[bytes], bytes]
"""The bytes of the second request of a pair, from the body of the first response."""
ROUNDS = 12


@dataclass(frozen=True)
class Load:
    """What a server gets: requests or, with `follow_up`, pairs of them that count as one."""

    server: Server
    requests: Requests
    follow_up: FollowUp | None = None


@dataclass(frozen=True)
class Sample:
    """What a run measured: requests a second and latencies in milliseconds."""

    per_second: float
    p50: float
    p99: float
    requests: int
    failures: int


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last answer is complete."""

    def __init__(
        self,
        requests: Requests,
        numbers: Iterator[int],
        end: float,
        follow_up: FollowUp | None = None,
    ) -> None:
        self._requests = requests
        self._numbers = numbers
        self._end = end
        self._follow_up = follow_up
        self._in_second = False
        self._buffer = b""
        self._started = 0.0
        self.latencies: list[float] = []
        self.failures = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.failures += 1
            self.done.set_result(None)

    def _next(self) -> None:
        self._started = time.perf_counter()
        if self._started >= self._end:
            self.done.set_result(None)
            self._transport.close()
            return
        self._transport.write(self._requests(next(self._numbers)))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        # Without a copy of the body, of which Innkeeper's lists have more than the floor's.
        headers = self._buffer[: head + 1].lower()
        at = headers.find(b"content-length:")
        length = int(headers[at + 15 : headers.find(b"\r", at)]) if at >= 0 else 0
        if len(self._buffer) < head + 4 + length:
            return
        is_success = self._buffer[9:10] == b"2"
        body, self._buffer = (
            self._buffer[head + 4 : head + 4 + length],
            self._buffer[head + 4 + length :],
        )
        if self._follow_up and is_success and not self._in_second:
            self._in_second = True
            self._transport.write(self._follow_up(body))
            return
        self._in_second = False
        self.latencies.append(time.perf_counter() - self._started)
        self.failures += not is_success
        self._next()


async def drive(
    host: str,
    port: int,
    requests: Requests,
    connections: int,
    seconds: float,
    follow_up: FollowUp | None = None,
) -> Sample:
    """Load one server for some seconds; `requests` makes the bytes of the n-th request."""
    loop = asyncio.get_running_loop()
    numbers = count()
    started = time.perf_counter()
    opened = [
        (
            await loop.create_connection(
                lambda: _Connection(requests, numbers, started + seconds, follow_up), host, port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for connection in opened))
    elapsed = time.perf_counter() - started
    latencies = sorted(value for connection in opened for value in connection.latencies)
    if not latencies:
        return Sample(0, 0, 0, 0, sum(connection.failures for connection in opened))
    return Sample(
        len(latencies) / elapsed,
        latencies[len(latencies) // 2] * 1000,
        latencies[int(len(latencies) * 0.99)] * 1000,
        len(latencies),
        sum(connection.failures for connection in opened),
    )


def compare(
    loads: Sequence[Load], connections: int, seconds: float, rounds: int = ROUNDS
) -> list[Sample]:
    """All loaded in turns, so that a machine that slows down slows all: medians of rounds."""
    samples: list[list[Sample]] = [[] for _ in loads]
    turns = list(zip(loads, samples, strict=True))
    for number in range(rounds):
        # Each goes first as often as last: what comes and goes on the machine meets all.
        for load, each in turns[:: 1 if number % 2 else -1]:
            server = load.server
            one_round = drive(
                server.host,
                server.port,
                load.requests,
                connections,
                seconds / rounds,
                load.follow_up,
            )
            each.append(asyncio.run(one_round))
    return [_middle(each) for each in samples]


def _middle(samples: list[Sample]) -> Sample:
    return Sample(
        median(sample.per_second for sample in samples),
        median(sample.p50 for sample in samples),
        median(sample.p99 for sample in samples),
        sum(sample.requests for sample in samples),
        sum(sample.failures for sample in samples),
    )
