"""Another system that is told things over HTTP: it keeps what it is sent."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from innkeeper import clock
from innkeeper.actions.audiences import webhooks
from innkeeper.store.work import Work


class Receiver(HTTPServer):
    """Keeps what it is sent while it answers 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiving)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.body = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Receiving(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def send_due(work: Work) -> int:
    """Send the messages that are due, one address after the other; how many arrived."""

    @asynccontextmanager
    async def lend() -> AsyncIterator[Work]:
        yield work

    rows = await work.all("webhooks.addresses", now=clock.now())
    results = [await webhooks.send_due_messages(lend, row["url"]) for row in rows]
    return sum(result.delivered for result in results)
