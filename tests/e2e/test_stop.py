"""S4: a stop ends in time, whatever the server, its threads and its jobs wait for.

A pipe that nobody writes to stands for storage that hangs: a thread that opens it waits for ever.
"""

import gzip
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from batching import declared
from calling import body_of
from process import Innkeeper, Serve
from streams import work_on
from waiting import PATIENCE_SECONDS, until

from innkeeper.actions.bulk import batches, file_exports
from innkeeper.store.data_folder import DataFolder
from innkeeper.store.work import Work

pytestmark = pytest.mark.installed
ENVIRONMENT = {
    "INNKEEPER_STOP_SECONDS": "6",
    # So that nothing else ends what hangs.
    "INNKEEPER_BODY_SECONDS": "3600",
    "INNKEEPER_RESPONSE_SECONDS": "3600",
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def dsn_of(server: Innkeeper) -> str:
    report = DataFolder(server.data).announced()
    assert report is not None
    assert report.dsn is not None
    return report.dsn


def begin_request(stack: ExitStack, server: Innkeeper, request: str) -> socket.socket:
    """A connection on which a request was sent."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = stack.enter_context(socket.create_connection((host, int(port)), PATIENCE_SECONDS))
    connection.sendall(request.encode())
    return connection


def pipe_at(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def half_a_body(stack: ExitStack, server: Innkeeper) -> None:
    connection = begin_request(
        stack,
        server,
        "POST /v1.2/events HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
        "Expect: 100-continue\r\n\r\n",
    )
    # Now it is being read.
    assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
    connection.sendall(b"{")


def an_answer_that_nobody_reads(stack: ExitStack, server: Innkeeper) -> None:
    begin_request(stack, server, "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50)


def a_download_from_storage_that_hangs(stack: ExitStack, server: Innkeeper) -> None:
    """A thread of the web process, which nothing can interrupt."""
    params = {"entity": "guests", "format": "ndjson", "compressed": False}
    export = body_of(server.client.post("/innkeeper/v1/fileExports", json=params))

    def location() -> Any:
        return body_of(server.client.get(export["href"])).get("location")

    href = until("the export to be written", location)["href"]
    pipe_at(server.data / "files" / file_exports.file_name("live", UUID(export["ref"])))
    begin_request(stack, server, f"GET {href.removeprefix(server.url)} HTTP/1.1\r\nHost: x\r\n\r\n")


def a_job_whose_storage_hangs(server: Innkeeper) -> None:
    """A thread of the job worker, the same."""
    file = gzip.compress(b"{}\n")
    ref = uuid4()
    body_of(server.client.put(f"/v2/batches/{ref}", json=declared(file)))
    pipe_at(server.data / "files" / batches.upload_name("live", ref))
    dsn = dsn_of(server)
    work_on(dsn, lambda work: batches.receive_file(work, ref, **declared(file)))

    async def state(work: Work) -> str:
        return str((await batches.fetch(work, ref))["state"])

    until("the job to be under way", lambda: work_on(dsn, state) == batches.PROCESSING)


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_s4_a_stop_ends_whatever_is_running(serve: Serve, stack: ExitStack, workers: int) -> None:
    """S4: after such requests the server was still there 40 s later, or for ever."""
    server = serve("--workers", workers, env=ENVIRONMENT)
    guest = server.create_guest("a@example.com")
    postmaster = server.postmaster
    half_a_body(stack, server)
    an_answer_that_nobody_reads(stack, server)
    a_download_from_storage_that_hangs(stack, server)
    a_job_whose_storage_hangs(server)
    assert httpx.get(f"{server.url}/healthz", timeout=PATIENCE_SECONDS).status_code == 200
    group = children(server.process.pid)
    assert len(group) >= 2
    assert server.stop(signal.SIGTERM) == 0
    for pid in (*group, postmaster):
        until(f"process {pid} to be gone", lambda pid=pid: not Path(f"/proc/{pid}").exists())
    again = serve()
    again.client_key, again.token = server.client_key, server.token
    assert again.has_guest(guest)


def children(pid: int) -> list[int]:
    """Processes that another one started, and those that they did."""
    output = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    own = [int(line) for line in output.stdout.split()]
    return [*own, *(each for one in own for each in children(one))]
