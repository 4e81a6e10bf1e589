"""Events: one a request, from many browsers; memory while they come."""

import asyncio
import base64
import json
import random
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

from bench.idle import DATABASE, JOBS, SERVER, resident_parts
from bench.load import Requests, Sample, drive
from bench.report import HEAD, RULE, Bench
from bench.servers import Server

BROWSERS = 2000
ABOUT = f"""{BROWSERS:,} browsers that continue a session; then events that each start one; then a
single browser, whose events are written one after the other. The floor writes the same rows with
one statement: the event and its session or, if the event starts one, also the browser and the time
when the guest was last seen. The floor of the first three rows inserts the event only.
"""
MANY, FEW = 1_000_000, 20_000
"""Events over which memory is watched, with and without --full."""
STEPS = 4
"""Times it is looked at meanwhile."""


def client_key(server: Server) -> str:
    """The public half of the server's credentials."""
    login = base64.b64decode(server.authorization.removeprefix("Basic "))
    return login.partition(b":")[0].decode()


def page_view(key: str, browser: str, number: int, channel: str = "WEB") -> bytes:
    """The body of the n-th event: a page view as the SDKs send it."""
    return json.dumps(
        {
            "client_key": key,
            "browser_id": browser,
            "type": "VIEW",
            "channel": channel,
            "pos": "default",
            "currency": "EUR",
            "language": "EN",
            "page": f"Page {number}",
            "ext": {"position": number % 40, "variant": "b", "logged_in": False},
        }
    ).encode()


def posts(
    server: Server, path: str, body: Callable[[int, list[str]], bytes], among: list[str]
) -> Requests:
    """Events of some browsers, sent to a server."""
    return lambda number: server.post(path, body(number, among))


def measure(bench: Bench) -> Iterator[str]:
    """A table of throughput, then what memory did."""
    ours, floor = bench.ours, bench.floor
    key = client_key(ours)
    # Each has browsers of its own: what one writes would be news to the other.
    browsers = [_browsers(ours, key), _browsers(ours, key)]
    chance = random.Random(1)

    def view(number: int, among: list[str]) -> bytes:
        return page_view(key, chance.choice(among), number)

    def first_view(number: int, among: list[str]) -> bytes:
        # A session is of a channel: nobody was on this one.
        return page_view(key, chance.choice(among), number, f"C{uuid4().hex[:12]}")

    def view_of_one(number: int, among: list[str]) -> bytes:
        return page_view(key, among[0], number)

    for several in browsers:
        _visit_once(ours, key, several)
    yield ABOUT
    yield HEAD
    yield RULE
    mine, others = browsers
    for what, body, how in (
        ("VIEW event, floor inserts the event only", view, "alone"),
        ("VIEW event", view, "goes-on"),
        ("VIEW event that starts a session", first_view, "begins"),
        ("VIEW event, one browser", view_of_one, "goes-on"),
    ):
        yield from bench.rows(
            what,
            posts(ours, "/v1.2/events", body, mine),
            posts(floor, f"/events/{how}", body, others),
        )
    yield from _memory(bench, lambda number: ours.post("/v1.2/events", view(number, mine)))


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


def _visit_once(ours: Server, key: str, browsers: list[str]) -> None:
    """A first page view of every browser."""
    done = 0
    while done < len(browsers):
        left = browsers[done:]

        def first(number: int, left: list[str] = left) -> bytes:
            return ours.post("/v1.2/events", page_view(key, left[number % len(left)], number))

        done += asyncio.run(drive(ours.host, ours.port, first, 16, 2)).requests


def _memory(bench: Bench, request: Requests) -> Iterator[str]:
    """Resident memory of every process, part by part, while many events come."""
    total = MANY if bench.full else FEW
    yield (
        f"\nMemory in MB (proportional resident) while {total:,} events arrive from {BROWSERS:,} "
        "browsers over 16 connections. PostgreSQL grows until its shared buffers are full.\n"
    )
    yield f"| Events | {SERVER} | {JOBS} | {DATABASE} | all | events/s |"
    yield "|---:|---:|---:|---:|---:|---:|"
    yield _resident(bench.ours.pid, 0, "")
    count = 0
    for step in range(1, STEPS + 1):
        began, before = time.monotonic(), count
        while count < total * step // STEPS:
            sample: Sample = asyncio.run(drive(bench.ours.host, bench.ours.port, request, 16, 5))
            if sample.failures:
                raise RuntimeError(f"{sample.failures} events were refused")
            count += sample.requests
        rate = (count - before) / (time.monotonic() - began)
        yield _resident(bench.ours.pid, count, f"{rate:,.0f}")


def _resident(pid: int, payload: int, rate: str) -> str:
    parts = resident_parts(pid)
    each = " | ".join(f"{parts[name]:.0f}" for name in (SERVER, JOBS, DATABASE))
    return f"| {payload:,} | {each} | {sum(parts.values()):.0f} | {rate} |"
