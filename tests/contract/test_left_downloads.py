"""A response whose client leaves stops its work: the query of a CSV, the reading of its file."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import contextmanager
from typing import Any

import duckdb
from in_process import Site, running

from innkeeper.lake import duckdb as engine
from innkeeper.web.responses import ApiResponse

SLOW = "SELECT count(*) FROM range(100000000000) AS a(n) WHERE hash(n) = 1"
Messages = asyncio.Queue[dict[str, Any]]


def test_a_query_of_a_csv_is_interrupted_when_its_client_leaves(dsn: str, monkeypatch: Any) -> None:
    interrupted = []

    @contextmanager
    def slow(connection: Any, _: float) -> Any:
        """Run another query first, which would take hours."""
        asyncio.run_coroutine_threadsafe(_leave(messages), Site.runner.get_loop())
        try:
            connection.execute(SLOW).fetchall()
        except duckdb.InterruptException:
            interrupted.append(True)
            raise
        yield

    messages: Messages = asyncio.Queue()
    with running(dsn):
        rules = [{"field": "ref", "comparator": "is not null"}]
        definition = {"filterGroups": [{"entity": "guest", "rules": rules}]}
        segment = {"name": "All", "definition": definition}
        ref = Site.body_of("POST", "/innkeeper/v1/segments", segment)["ref"]
        monkeypatch.setattr(engine, "limited", slow)
        result = Site.runner.run(
            _get(f"/innkeeper/v1/segments/{ref}/table", b"format=csv", messages)
        )
        assert interrupted
        assert not result


def test_a_file_is_not_read_on_when_its_client_has_left() -> None:
    read = []

    async def blocks() -> AsyncGenerator[bytes, None]:
        for number in range(1000):
            read.append(number)
            yield b"x"

    async def run() -> None:
        messages: Messages = asyncio.Queue()
        await messages.put({"type": "http.request"})

        async def send(message: dict[str, Any]) -> None:
            if len(read) == 3:
                await messages.put({"type": "http.disconnect"})
            await asyncio.sleep(0)

        await ApiResponse(200, stream=blocks()).send(messages.get, send)  # type: ignore[arg-type]

    asyncio.run(run())
    assert 3 <= len(read) < 20


async def _leave(messages: Messages) -> None:
    await messages.put({"type": "http.disconnect"})


async def _get(path: str, query: bytes, messages: Messages) -> list[Any]:
    """What is sent to a client of the API that gets a path, and sends `messages`."""
    login = Site.logins["open"]
    basic = base64.b64encode(f"{login.client_key}:{login.api_token}".encode())
    scope = {
        **{"type": "http", "method": "GET", "path": path, "raw_path": path.encode()},
        **{"query_string": query, "scheme": "http", "state": {}, "root_path": ""},
        **{"headers": [(b"host", b"test"), (b"authorization", b"Basic " + basic)]},
        **{"asgi": {"version": "3.0"}, "http_version": "1.1"},
        **{"client": ("127.0.0.1", 1), "server": ("test", 80)},
    }
    payloads: list[Any] = []

    async def send(message: Any) -> None:
        payloads.append(message)

    await messages.put({"type": "http.request", "body": b"", "more_body": False})
    await Site.app(scope, messages.get, send)
    return payloads
