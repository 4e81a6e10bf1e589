"""The application and its database in the process of a test, without a server."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import uuid4

import databases

from innkeeper.actions.admin import keys
from innkeeper.actions.bulk import engine
from innkeeper.actions.bulk.guest_state import RecordSource
from innkeeper.rules.scopes import EVERY_SCOPE
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.work import Work
from innkeeper.web.app import create_app


class Site:
    """One application and its database; `running` starts them for a test.

    Classes of Hypothesis make their own instances, so everything is on the class.
    """

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]
    app: ClassVar[Any]
    logins: ClassVar[dict[str, keys.NewKey]]
    empty: ClassVar[Callable[[], None]]
    """Deletes everybody in the workspace."""

    @classmethod
    def do(cls, act: Any, *args: Any, **more: Any) -> Any:
        """Run an action in a transaction."""

        async def run() -> Any:
            async with cls.database.work("live", "test") as work, work.transaction():
                return await act(work, *args, **more)

        return cls.runner.run(run())

    @classmethod
    def rows(cls, sql: str, *params: Any) -> list[dict[str, Any]]:
        """The rows of a query."""

        async def read(work: Work) -> list[dict[str, Any]]:
            cursor = await work.connection.execute(sql, params)
            return await cursor.fetchall()

        result: list[dict[str, Any]] = cls.do(read)
        return result

    @classmethod
    def write(cls, sql: str) -> None:
        """Run a statement as another process does."""

        async def execute(work: Work) -> None:
            await work.connection.execute(sql)

        cls.do(execute)

    @classmethod
    def batch(cls, entries: list[Any], source: str) -> list[Any]:
        """Apply records in one chunk; the failures."""
        failures: list[Any] = []

        async def note(outcomes: Any, _: Any) -> None:
            failures.extend(outcomes.failures)

        async def run() -> None:
            async with cls.database.work("live", "test") as work:
                await engine.apply(work, entries, RecordSource(source, uuid4()), note)

        cls.runner.run(run())
        return failures

    @classmethod
    def call(cls, method: str, target: str, body: Any = None, key: str = "open") -> tuple[int, Any]:
        """Send a request to the application, without a server; status and body."""
        login = cls.logins[key]
        basic = base64.b64encode(f"{login.client_key}:{login.api_token}".encode())
        content = b"" if body is None else json.dumps(body).encode()
        path, _, query = target.partition("?")
        headers = [(b"host", b"test"), (b"content-type", b"application/json")]
        if not path.startswith("/v1.2"):
            headers.append((b"authorization", b"Basic " + basic))
        headers.append((b"content-length", str(len(content)).encode()))
        scope = {
            **{"type": "http", "method": method, "path": path, "raw_path": path.encode()},
            **{"query_string": query.encode(), "headers": headers, "scheme": "http", "state": {}},
            **{"asgi": {"version": "3.0"}, "http_version": "1.1", "root_path": ""},
            **{"client": ("127.0.0.1", 1), "server": ("test", 80)},
        }
        payloads: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            payloads.append(message)

        cls.runner.run(cls.app(scope, receive, send))
        text = b"".join(part.get("body", b"") for part in payloads[1:])
        return payloads[0]["status"], json.loads(text) if text else None

    @classmethod
    def body_of(cls, *call: Any, **more: Any) -> Any:
        """The body of a successful request."""
        status, body = cls.call(*call, **more)
        assert status in (200, 201), (call, status, body)
        return body

    @classmethod
    def event(cls, browser: str, type_: str, **members: Any) -> Any:
        """The answer to an event of a browser."""
        client = cls.logins["open"].client_key
        common = {"client_key": client, "browser_id": browser, "channel": "WEB", "pos": "default"}
        return cls.body_of("POST", "/v1.2/events", {**common, "type": type_, **members})


class Lifespan:
    """Starts and stops an application as a server does."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._orders: asyncio.Queue[Any] = asyncio.Queue()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()

    async def start(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._task = asyncio.ensure_future(self._app(scope, self._orders.get, self._answers.put))
        await self._orders.put({"type": "lifespan.startup"})
        assert (await self._answers.get())["type"] == "lifespan.startup.complete"

    async def stop(self) -> None:
        await self._orders.put({"type": "lifespan.shutdown"})
        await self._task


@contextmanager
def running(dsn: str) -> Iterator[None]:
    """Start the application on a database."""
    settings = Settings(database=dsn, log_level="critical", log_format="text", pool_size=3)

    async def opened() -> Database:
        database = Database(dsn, pool_size=2, settings=settings)
        await database.open()
        async with database.control("test") as work:
            Site.logins = {
                kind: await keys.create(work, "live", kind, scopes=EVERY_SCOPE)
                for kind in ("open", "official")
            }
        return database

    connection, without_triggers = databases.connect_to_empty(dsn)
    with connection, asyncio.Runner() as runner:
        Site.runner = runner
        Site.database = runner.run(opened())
        Site.app = create_app(settings)
        Site.empty = lambda: databases.empty(connection, without_triggers)
        lifespan = Lifespan(Site.app)
        runner.run(lifespan.start())
        yield
        runner.run(lifespan.stop())
        runner.run(Site.database.close())
