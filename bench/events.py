"""Events: one a request, from many browsers; memory while they come."""

import asyncio
import base64
import json
import random
from collections.abc import Iterator

from bench.idle import resident_megabytes
from bench.load import Requests, Sample, drive
from bench.report import HEAD, RULE, Bench
from bench.servers import Server

BROWSERS = 2000
MANY, FEW = 1_000_000, 20_000
"""Events over which memory is watched, with and without --full."""


def client_key(server: Server) -> str:
    """The public half of the server's credentials."""
    login = base64.b64decode(server.authorization.removeprefix("Basic "))
    return login.partition(b":")[0].decode()


def page_view(key: str, browser: str, number: int) -> bytes:
    """The body of the n-th event: a page view as the SDKs send it."""
    return json.dumps(
        {
            "client_key": key,
            "browser_id": browser,
            "type": "VIEW",
            "channel": "WEB",
            "pos": "default",
            "currency": "EUR",
            "language": "EN",
            "page": f"Page {number}",
            "ext": {"position": number % 40, "variant": "b", "logged_in": False},
        }
    ).encode()


def measure(bench: Bench) -> Iterator[str]:
    """A table of throughput, then what memory did."""
    ours, floor = bench.ours, bench.floor
    key = client_key(ours)
    browsers = _browsers(ours, key)
    chance = random.Random(1)

    def event(number: int) -> bytes:
        return page_view(key, chance.choice(browsers), number)

    yield HEAD
    yield RULE
    yield from bench.rows(
        "VIEW event",
        lambda number: ours.post("/v1.2/events", event(number)),
        lambda number: floor.post("/events", event(number)),
    )
    one = browsers[0]
    yield from bench.rows(
        "VIEW event, all of one browser",
        lambda number: ours.post("/v1.2/events", page_view(key, one, number)),
        lambda number: floor.post("/events", page_view(key, one, number)),
    )
    yield from _memory(bench, lambda number: ours.post("/v1.2/events", event(number)))


def _browsers(ours: Server, key: str) -> list[str]:
    create = f"/v1.2/browser/create.json?client_key={key}&message={{}}"
    answers: list[str] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection(ours.host, ours.port)
        for _ in range(BROWSERS):
            writer.write(ours.get(create))
            head = await reader.readuntil(b"\r\n\r\n")
            at = head.lower().index(b"content-length:")
            length = int(head[at + 15 : head.index(b"\r", at)])
            answers.append(json.loads(await reader.readexactly(length))["ref"])
        writer.close()

    asyncio.run(one())
    return answers


def _memory(bench: Bench, request: Requests) -> Iterator[str]:
    """Resident memory of the server and its database before and after many events."""
    wanted = MANY if bench.full else FEW
    pid = bench.ours.pid
    before, sent = resident_megabytes(pid), 0
    while sent < wanted:
        sample: Sample = asyncio.run(drive(bench.ours.host, bench.ours.port, request, 16, 5))
        sent += sample.requests
    yield (
        f"\nMemory of everything over {sent:,} events: {before:.0f} MB before, "
        f"{resident_megabytes(pid):.0f} MB after."
    )
