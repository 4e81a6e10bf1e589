"""Start what is measured: the installed command, and the floor beside it."""

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4


def free_port() -> int:
    """A port that nobody listens on now: known beforehand, so that the time to the first answer
    can be taken from outside."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, what to say to it, where its database is."""

    host: str
    port: int
    authorization: str
    dsn: str
    pid: int
    ready_after: float
    """Seconds from the start of the process to its first answer."""

    def get(self, path: str) -> bytes:
        """The bytes of a GET request."""
        return f"GET {path} HTTP/1.1\r\n{self._headers()}\r\n".encode()

    def post(self, path: str, body: bytes) -> bytes:
        """The bytes of a POST request with a JSON body."""
        return self._with_body("POST", path, body)

    def patch(self, path: str, body: bytes) -> bytes:
        """The bytes of a PATCH request with a JSON body."""
        return self._with_body("PATCH", path, body)

    def _with_body(self, method: str, path: str, body: bytes) -> bytes:
        about = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{method} {path} HTTP/1.1\r\n{self._headers()}{about}\r\n".encode() + body

    def _headers(self) -> str:
        return f"Host: {self.host}:{self.port}\r\nAuthorization: {self.authorization}\r\n"


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def await_answer(url: str, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Return as soon as `url` answers 200."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
    raise RuntimeError(f"{url} did not answer")


@contextmanager
def innkeeper(data: Path | None = None) -> Iterator[Server]:
    """`innkeeper serve` on a folder of its own, with a new key."""
    command = [str(Path(sys.executable).with_name("innkeeper"))]
    with tempfile.TemporaryDirectory(prefix="innkeeper-bench-") as scratch:
        folder = data or Path(scratch)
        port = free_port()
        started = time.monotonic()
        process = subprocess.Popen(
            [*command, "serve", "--data", str(folder), "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await_answer(f"http://127.0.0.1:{port}/readyz", process)
            ready_after = time.monotonic() - started
            summary = json.loads((folder / "server.json").read_text())
            output = subprocess.run(
                [*command, "keys", "create", "--data", str(folder), "--json"],
                check=True,
                capture_output=True,
            )
            key = json.loads(output.stdout)
            authorization = basic(key["clientKey"], key["apiToken"])
            yield Server("127.0.0.1", port, authorization, summary["dsn"], process.pid, ready_after)
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def floor(dsn: str) -> Iterator[Server]:
    """The floor, over the same database."""
    started, port = time.monotonic(), free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "bench.floor:create_app"]  # noqa: RUF005
        + ["--port", str(port), "--loop", "uvloop", "--http", "httptools"]
        + ["--no-access-log", "--log-level", "error"],
        env={**os.environ, "FLOOR_DATABASE": dsn},
    )
    try:
        await_answer(f"http://127.0.0.1:{port}/ready", process)
        yield Server(
            "127.0.0.1",
            port,
            basic("floor", "0" * 43),
            dsn,
            process.pid,
            time.monotonic() - started,
        )
    finally:
        process.terminate()
        process.wait(30)


def invite(ours: Server) -> str:
    """The path at which a new owner chooses a password."""
    command = str(Path(sys.executable).with_name("innkeeper"))
    words = ["users", "invite", f"{uuid4().hex}@example.com", "--role", "owner", "--json"]
    done = subprocess.run(
        [command, *words, "--database", ours.dsn], check=True, capture_output=True, text=True
    )
    return str(json.loads(done.stdout)["path"])
