"""S3: whoever reads a signed link slowly holds no connection, and no slot for ever."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest
from calling import Api, run_server
from sites import Site
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from waiting import PATIENCE_SECONDS

from innkeeper.actions.bulk import signed_urls
from innkeeper.errors import Unavailable
from innkeeper.store.limiter import Limiter
from innkeeper.web.app import create_app
from innkeeper.web.connections import ConnectionLimits
from innkeeper.web.downloads import BLOCK_BYTES, Download
from innkeeper.web.http_protocol import LimitedHttpProtocol

READERS = 4


@contextmanager
def standing_still(url: str) -> Iterator[socket.socket]:
    """Somebody who asks for a path and reads the first bytes of the answer, and no more."""
    parts = urlsplit(url)
    with socket.socket() as reader:
        # Set before connecting, so that the server cannot send much ahead.
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(PATIENCE_SECONDS)
        reader.connect((parts.hostname, parts.port))
        target = f"{parts.path}?{parts.query}"
        reader.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert reader.recv(12).startswith(b"HTTP/1.1 200")
        yield reader


@pytest.mark.long
def test_s3_slow_readers_of_a_log_hold_no_connection(
    site: Site, connection: psycopg.Connection, api: Api
) -> None:
    """Two connections in all, and four who do not read: guests are served all the same."""
    ref = uuid4()
    connection.execute(
        "INSERT INTO ws_live.batches "
        "(ref, entity, state, file_options, actor, created_at, modified_at) "
        "VALUES (%s, 'batch', 'error', '{}', 'test', now(), now())",
        [ref],
    )
    # Random, so that packing leaves some megabytes of it.
    noise = "string_agg(md5(random()::text), '')"
    connection.execute(
        "INSERT INTO ws_live.batch_failures (batch_ref, line, code, message, errors) "
        f"SELECT %s, line, 400, (SELECT {noise} FROM generate_series(1, 10 + 0 * line)), '{{}}' "
        "FROM generate_series(1, 30000) AS line",
        [ref],
    )
    path = f"/files/live/{ref}/log.gz"
    signed = site.control(lambda work: signed_urls.sign(work, "GET", path))
    with ExitStack() as stack:
        url = stack.enter_context(run_server(create_app(replace(site.settings, pool_size=2))))
        for _ in range(READERS):
            stack.enter_context(standing_still(url + signed["href"]))
        with Api(url, api.client_key, api.token) as caller:
            for _ in range(10):
                assert caller.get("/v2.1/guests").status_code == 200


class Impatient(LimitedHttpProtocol):
    """As a server with `response_seconds` of half a second speaks."""

    limits = ConnectionLimits(response=0.5, bytes_per_second=1 << 30)


class Blocks:
    """A download without end, which tells when it was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    async def opened(self) -> AsyncGenerator[bytes, None]:
        return self._blocks()

    async def _blocks(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                await asyncio.sleep(0)
                yield bytes(BLOCK_BYTES)
        finally:
            self.closed.set()


@pytest.fixture
def endless() -> Iterator[tuple[str, Limiter, Blocks]]:
    """A server whose only path is an endless download with one slot."""
    limiter, blocks = Limiter("downloads", 1, 0), Blocks()

    async def download(_: Request) -> Response:
        return Download(limiter, blocks.opened, "text/plain")

    async def busy(_: Request, error: Exception) -> Response:
        assert isinstance(error, Unavailable)
        return Response(error.message, error.status, error.headers)

    app = Starlette(routes=[Route("/", download)], exception_handlers={Unavailable: busy})
    with run_server(app, Impatient) as url:
        yield url + "/", limiter, blocks


def test_s3_a_stalled_reader_loses_its_slot(endless: tuple[str, Limiter, Blocks]) -> None:
    url, limiter, blocks = endless
    with standing_still(url):
        refused = httpx.get(url, trust_env=False)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        # Cut off a moment after half a second without a byte taken.
        assert blocks.closed.wait(PATIENCE_SECONDS)
    with standing_still(url):
        assert limiter.free == 0


def test_s3_a_reader_that_goes_away_gives_its_slot_back(
    endless: tuple[str, Limiter, Blocks],
) -> None:
    url, limiter, blocks = endless
    with standing_still(url):
        assert limiter.free == 0
    assert blocks.closed.wait(PATIENCE_SECONDS)
    with standing_still(url):
        pass
