"""What a caller can send to slow a server down: each attack bounded in time, to one loopback port.

`python -m bench.attackers NAME` runs one attack on the target that the environment variable
BENCH_TARGET describes, so that it shares no interpreter with the clock that measures others.
"""

import asyncio
import gzip
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

ENVIRONMENT = "BENCH_TARGET"
MOST_BYTES = 64 * 1024 * 1024
"""Bytes that one connection of an attack sends at most."""


@dataclass(frozen=True)
class Target:
    """The server, and what an ordinary login and key make possible."""

    host: str
    port: int
    authorization: str
    client_key: str
    cookie: str
    """Of somebody who is logged in to the screens."""
    link: str
    """Path of a signed link to a file."""
    browser: str
    seconds: float

    def to_environment(self) -> dict[str, str]:
        return {**os.environ, ENVIRONMENT: json.dumps(asdict(self))}


async def _send(target: Target, *pieces: bytes, read: int = 65536, pause: float = 0.0) -> bytes:
    """Send pieces on a connection of its own, then read a little of the answer."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.wait_for(writer.drain(), 10)
            if pause:
                await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(read), 30)
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.close()


def _request(target: Target, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    lines = {"Host": f"{target.host}:{target.port}", "Connection": "close", **headers}
    if body:
        lines["Content-Length"] = str(len(body))
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def _repeat(target: Target, at_once: int, act: Callable[[], Awaitable[object]]) -> None:
    """Do something again and again, so many at once, until the time is over."""
    end = time.monotonic() + target.seconds

    async def one() -> None:
        while time.monotonic() < end:
            try:
                await act()
            except OSError:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.02)

    await asyncio.gather(*(one() for _ in range(at_once)))


async def ampersands(target: Target) -> None:
    """A query with 4,096 `&` in its message."""
    path = "/v1.2/browser/create.json?message={%22" + "%41&" * 4096
    await _repeat(target, 4, lambda: _send(target, _request(target, "GET", path)))


async def large_events(target: Target) -> None:
    """Events of nearly 1 MB."""
    event = {
        "client_key": target.client_key,
        "browser_id": target.browser,
        "channel": "WEB",
        "type": "VIEW",
        "pos": "default",
        "page": "/",
        "ext": {f"k{number}": "x" * 200 for number in range(4000)},
    }
    body = json.dumps(event).encode()
    request = _request(target, "POST", "/v1.2/events", body, Content_Type="application/json")
    await _repeat(target, 2, lambda: _send(target, request))


async def log_ins(target: Target) -> None:
    """Sixty attempts to log in at once."""
    form = urlencode({"email": "owner@example.com", "password": "wrong password"}).encode()
    kind = "application/x-www-form-urlencoded"
    request = _request(target, "POST", "/login", form, Content_Type=kind)
    await _repeat(target, 60, lambda: _send(target, request))


async def large_forms(target: Target) -> None:
    """Forms that never end, to pages without a login."""
    head = _request(target, "POST", "/logout", Content_Length=str(300 * 1024 * 1024))
    pieces = [head, *([b"a=" + b"x" * (1024 * 1024 - 2)] * (MOST_BYTES // (1024 * 1024)))]
    await _repeat(target, 2, lambda: _send(target, *pieces))


async def half_requests(target: Target) -> None:
    """Two hundred connections that never finish their head."""
    head = f"GET /v2.1/guests HTTP/1.1\r\nHost: {target.host}\r\nX-Slow: "
    drip = [head.encode(), *([b"x"] * int(target.seconds))]
    await asyncio.gather(
        *(_send(target, *drip, pause=1.0) for _ in range(200)), return_exceptions=True
    )


async def slow_readers(target: Target) -> None:
    """Twenty readers of a signed link who take a little at a time."""

    async def one() -> None:
        reader, writer = await asyncio.open_connection(target.host, target.port, limit=1024)
        writer.write(_request(target, "GET", target.link))
        end = time.monotonic() + target.seconds
        while time.monotonic() < end:
            await reader.read(256)
            await asyncio.sleep(0.2)
        writer.close()

    await asyncio.gather(*(one() for _ in range(20)), return_exceptions=True)


async def slow_questions(target: Target) -> None:
    """Nine questions to the lake at once, written in SQL."""
    sql = (
        "WITH a AS (SELECT guest_ref FROM guests), b AS (SELECT x.guest_ref FROM a x, a y, a z) "
        "SELECT guest_ref FROM b ORDER BY guest_ref"
    )
    body = json.dumps({"definition": {"sql": sql}}).encode()
    kind = {"Content_Type": "application/json", "Authorization": target.authorization}
    request = _request(target, "POST", "/innkeeper/v1/segments/preview", body, **kind)
    await _repeat(target, 9, lambda: _send(target, request))


async def expanding_bodies(target: Target) -> None:
    """Compressed bodies that grow a thousandfold."""
    body = gzip.compress(b"[" + b" " * (256 * 1024 * 1024 // 4) + b"]", 9)
    kind = {"Content_Type": "application/json", "Authorization": target.authorization}
    request = _request(target, "POST", "/v2.1/guests", body, Content_Encoding="gzip", **kind)
    await _repeat(target, 2, lambda: _send(target, request))


async def long_reports(target: Target) -> None:
    """Reports, day by day since 1900."""
    path = "/innkeeper/v1/reports/revenue?from=1900-01-01&to=2026-01-01&interval=day"
    request = _request(target, "GET", path, Authorization=target.authorization)
    await _repeat(target, 4, lambda: _send(target, request))


async def large_pages(target: Target) -> None:
    """The page of quarantined events, one of which is large."""
    request = _request(target, "GET", "/w/live/quarantine", Cookie=target.cookie)
    await _repeat(target, 2, lambda: _send(target, request))


ATTACKS: dict[str, Callable[[Target], Coroutine[None, None, None]]] = {
    act.__name__: act
    for act in (
        *(ampersands, large_events, log_ins, large_forms, half_requests, slow_readers),
        *(slow_questions, expanding_bodies, long_reports, large_pages),
    )
}


def main() -> None:
    target = Target(**json.loads(os.environ[ENVIRONMENT]))
    asyncio.run(ATTACKS[sys.argv[1]](target))


if __name__ == "__main__":
    main()
