"""A small load generator: keep-alive HTTP/1.1 over raw sockets, one request at a time each."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from statistics import median

from bench.servers import Server

Requests = Callable[[int], bytes]
"""The bytes of the n-th request."""
ROUNDS = 12


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

    def __init__(self, requests: Requests, numbers: Iterator[int], end: float) -> None:
        self._requests = requests
        self._numbers = numbers
        self._end = end
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
        at = self._buffer.lower().find(b"content-length:", 0, head)
        length = int(self._buffer[at + 15 : self._buffer.find(b"\r", at)]) if at >= 0 else 0
        if len(self._buffer) < head + 4 + length:
            return
        self.latencies.append(time.perf_counter() - self._started)
        if self._buffer[9:10] != b"2":
            self.failures += 1
        self._buffer = self._buffer[head + 4 + length :]
        self._next()


async def drive(
    host: str, port: int, requests: Requests, connections: int, seconds: float
) -> Sample:
    """Load one server for some seconds; `requests` makes the bytes of the n-th request."""
    loop = asyncio.get_running_loop()
    numbers = count()
    started = time.perf_counter()
    opened = [
        (
            await loop.create_connection(
                lambda: _Connection(requests, numbers, started + seconds), host, port
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
    ours: tuple[Server, Requests], floor: tuple[Server, Requests], connections: int, seconds: float
) -> tuple[Sample, Sample]:
    """Both loaded in turns, so that a machine that slows down slows both: medians of rounds."""
    samples: tuple[list[Sample], list[Sample]] = ([], [])
    pairs = list(zip((ours, floor), samples, strict=True))
    for number in range(ROUNDS):
        # Each goes first as often as the other: what comes and goes on the machine meets both.
        for (server, requests), found in pairs[:: 1 if number % 2 else -1]:
            one_round = drive(server.host, server.port, requests, connections, seconds / ROUNDS)
            found.append(asyncio.run(one_round))
    return _middle(samples[0]), _middle(samples[1])


def _middle(samples: list[Sample]) -> Sample:
    return Sample(
        median(sample.per_second for sample in samples),
        median(sample.p50 for sample in samples),
        median(sample.p99 for sample in samples),
        sum(sample.requests for sample in samples),
        sum(sample.failures for sample in samples),
    )
