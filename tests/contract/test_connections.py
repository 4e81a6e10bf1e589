"""S4: connections that are idle, half sent or left unread end, and there are never too many."""

import asyncio
import json
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from batching import declared, packed, upsert
from calling import Api, run_server
from profiles import each_day
from prometheus_client import REGISTRY
from sites import Site
from starlette.types import Receive, Scope, Send
from waiting import PATIENCE_SECONDS, until

from innkeeper.settings import Settings
from innkeeper.web.app import create_app
from innkeeper.web.browser_security import STRICT
from innkeeper.web.connections import ConnectionLimits
from innkeeper.web.http_protocol import LimitedHttpProtocol


class Quick(LimitedHttpProtocol):
    """The protocol with little patience."""

    limits = ConnectionLimits(most=8, head=0.3, body=0.3, response=0.3, bytes_per_second=1 << 20)


class Slow(Quick):
    """The same for large bodies that come slowly."""

    limits = replace(Quick.limits, bytes_per_second=4096)


@pytest.fixture(scope="module")
def quick(site: Site) -> Iterator[str]:
    """The same installation served with little patience."""
    with run_server(create_app(site.settings), Quick) as url:
        yield url


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.port is not None
    return socket.create_connection(("127.0.0.1", parts.port), timeout=PATIENCE_SECONDS)


def rest_of(connection: socket.socket) -> bytes:
    """All that comes until the server closes, however it does."""
    read = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            read += piece
    return read


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def closed(reason: str) -> float:
    name = "innkeeper_connections_closed_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0


def test_s4_a_connection_that_says_nothing_is_closed(quick: str) -> None:
    with connected(quick) as connection:
        assert rest_of(connection) == b""


@pytest.mark.parametrize("start", [b"GET /v2.1/gue", b"GET /v2.1/guests HTTP/1.1\r\nHost: x\r\nA"])
def test_s4_half_a_head_is_408(quick: str, start: bytes) -> None:
    """S4: in the body that every error has."""
    with connected(quick) as connection:
        connection.sendall(start)
        answer = rest_of(connection)
    assert status_of(answer) == 408
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (body["code"], body["errors"]) == (408, [body["message"]])
    check_security_headers(answer)


def check_security_headers(answer: bytes) -> None:
    """S9: what the protocol answers by itself has them too."""
    lines = answer.lower().partition(b"\r\n\r\n")[0].split(b"\r\n")
    for name, value in STRICT:
        assert name + b": " + value.lower() in lines


def test_s4_half_a_head_after_another_request_is_408(quick: str) -> None:
    with connected(quick) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea")
        answer = rest_of(connection)
    assert status_of(answer) == 200
    assert b"HTTP/1.1 408 " in answer


def test_s4_a_head_that_drips_is_408(quick: str) -> None:
    """S4: the deadline is of the whole head, not of each piece."""
    with connected(quick) as connection:
        connection.settimeout(0.05)

        def dripped() -> bytes:
            with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
                connection.sendall(b"G")
                return connection.recv(65_536)
            return b""

        answer = until("the head to be given up", dripped)
    assert status_of(answer) == 408


def upload_target(site: Site, api: Api) -> str:
    file = packed([upsert("a@example.com")])
    answer = api.put(
        f"/v2/batches/{'0' * 8}-0000-4000-8000-{secrets.randbelow(10**12):012}", json=declared(file)
    )
    return answer.json()["location"]["href"].removeprefix(api.url)


@pytest.mark.parametrize(
    "where", each_day(("rest", "stream", "form", "token", "upload"), "rest", "upload")
)
def test_s4_half_a_body_is_408(quick: str, site: Site, api: Api, bare: Any, where: str) -> None:
    """S4: by every way in, and nothing is written."""
    target, method = {
        "rest": ("/v2.1/guests", "POST"),
        "stream": ("/v1.2/events", "POST"),
        "form": ("/login", "POST"),
        "token": ("/oauth/token", "POST"),
        "upload": (upload_target(site, api) if where == "upload" else "", "PUT"),
    }[where]
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {bare.authorization}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with connected(quick) as connection:
        connection.sendall(head.encode())
        assert status_of(rest_of(connection)) == 408
    assert api.get("/v2.1/guests").json()["totalCount"] == 0


@pytest.mark.long
def test_s4_a_large_body_may_take_longer(site: Site, api: Api, bare: Any) -> None:
    """S4: 64 KB may take 16 s more than the 0.3 s of an empty one."""
    body = b'{"guestType":"visitor"}' + b" " * 65_536
    head = (
        f"POST /v2.1/guests HTTP/1.1\r\nHost: x\r\nAuthorization: {bare.authorization}\r\n"
        "Content-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with run_server(create_app(site.settings), Slow) as url, connected(url) as connection:
        connection.sendall(head.encode() + body[:-1])
        time.sleep(1.5)  # longer than an empty body may take, checks included
        connection.sendall(body[-1:])
        assert status_of(rest_of(connection)) == 201


@pytest.mark.long
def test_s4_a_body_that_nobody_reads_is_not_waited_for(quick: str) -> None:
    """S4: after an answer that needed no body, such as 401, the rest need not come for ever."""
    with connected(quick) as connection:
        connection.sendall(
            b"POST /v2.1/guests HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n{"
        )
        assert status_of(rest_of(connection)) == 401


def test_s4_a_response_that_nobody_reads_ends() -> None:
    """S4: whoever asks and does not read keeps no connection."""
    before = closed("response")
    with run_server(Waiting(), Quick) as url, closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", urlsplit(url).port))
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        until("the connection to end", lambda: closed("response") > before)


# How many there are


class Waiting:
    """An application whose requests end when they are told to."""

    def __init__(self) -> None:
        self.served = 0
        self.go_on = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.loop = asyncio.get_running_loop()
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.served += 1
        if scope["path"] == "/wait":
            await self.go_on.wait()
        pieces = 1000 if scope["path"] == "/large" else 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(pieces):
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
        await send({"type": "http.response.body"})

    def release(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.go_on.set)


class Few(LimitedHttpProtocol):
    limits = ConnectionLimits(most=3)


def test_s4_idle_connections_make_room_for_new_ones() -> None:
    """S4: thousands that say nothing keep nobody out; the oldest goes first."""
    with run_server(Waiting(), Few) as url:
        silent = [connected(url) for _ in range(3)]
        half = connected(url)
        assert rest_of(silent[0]) == b""
        half.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        with connected(url) as connection:
            assert rest_of(silent[1]) == b""
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert status_of(rest_of(connection)) == 200
        for each in (*silent, half):
            each.close()


def test_s4_a_connection_too_many_is_503() -> None:
    """S4: where all are being served, the new one is told so, in the body of every error."""
    application = Waiting()
    with run_server(application, Few) as url:
        busy = [connected(url) for _ in range(3)]
        for each in busy:
            each.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        until("three requests under way", lambda: application.served == 3)
        with connected(url) as connection:
            answer = rest_of(connection)
        assert status_of(answer) == 503
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == 503
        check_security_headers(answer)
        application.release()
        for each in busy:
            assert status_of(rest_of(each)) == 200
            each.close()
        with connected(url) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert status_of(rest_of(connection)) == 200


def test_s4_the_limits_are_settings() -> None:
    settings = Settings(max_connections=7, head_seconds=1, body_seconds=2, response_seconds=3)
    assert ConnectionLimits.of(settings) == ConnectionLimits(7, 1, 2, 3)
    assert ConnectionLimits.of(Settings()) == ConnectionLimits()
