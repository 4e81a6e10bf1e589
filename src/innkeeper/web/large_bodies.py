"""Requests with large bodies, and reads with large results: they run in a thread of their own.

Parsing and checking a megabyte of JSON takes up to a second. The thread has its own event loop and
database connections, opened for the first of these requests, which take only processor time from
the others.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from prometheus_client import Counter

from innkeeper.settings import Settings
from innkeeper.store.configuration_cache import ConfigurationCache
from innkeeper.store.database import Database
from innkeeper.store.limiter import Limiter
from innkeeper.wire.json_text import count_marks

LARGE_BYTES: Final = 32 * 1024
"""Largest body that runs on the event loop of the server."""
MANY_MARKS: Final = 2_000
"""Most marks of JSON, about two for each member, of a body over 4 KB on the event loop."""
_COUNTED_BYTES: Final = 4 * 1024
"""Largest body that runs on the event loop however many marks it has."""
LARGE_RESULT_BYTES: Final = 512 * 1024
"""Most JSON of one result of the database that a read parses on the event loop."""
MAX_RUNNING: Final = 2
MAX_PENDING: Final = 64
_JOIN_SECONDS: Final = 5.0
LARGE: Final = Counter("innkeeper_large_bodies_total", "Requests with large bodies or results.")

Result = TypeVar("Result")


def is_large(body: bytes) -> bool:
    """Whether a request with this body runs in the thread rather than on the event loop."""
    size = len(body)
    return size > LARGE_BYTES or (size > _COUNTED_BYTES and count_marks(body) > MANY_MARKS)


class LargeBodies:
    """The thread: runs two requests at a time; others wait in order, without a connection."""

    def __init__(self, settings: Settings, cache: ConfigurationCache | None = None) -> None:
        self._settings = settings
        self._cache = cache
        self._limiter = Limiter("requests with large bodies", MAX_RUNNING, MAX_PENDING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._database: Database | None = None
        self._opening: asyncio.Task[Database] | None = None

    async def run(self, act: Callable[[Database], Awaitable[Result]]) -> Result:
        """Run `act` in the thread; raises its errors, and `Unavailable` when too many wait."""
        async with self._limiter:
            LARGE.inc()
            running = asyncio.run_coroutine_threadsafe(self._run(act), self._start_loop())
            return await asyncio.wrap_future(running)

    async def close(self) -> None:
        """Close the connections and end the thread."""
        if self._loop is None or self._thread is None:
            return
        if self._database is not None:
            closing = asyncio.run_coroutine_threadsafe(self._database.close(), self._loop)
            await asyncio.wrap_future(closing)
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, _JOIN_SECONDS)
        self._loop = self._thread = self._database = None

    def _start_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop of the thread; start both on first use."""
        if self._loop is None:
            self._loop = loop = asyncio.new_event_loop()

            def serve() -> None:
                try:
                    loop.run_forever()
                finally:
                    loop.close()

            self._thread = threading.Thread(target=serve, name="large bodies", daemon=True)
            self._thread.start()
        return self._loop

    async def _run(self, act: Callable[[Database], Awaitable[Result]]) -> Result:
        if self._database is None:
            if self._opening is None or self._opening.done():
                self._opening = asyncio.create_task(self._open())
            self._database = await asyncio.shield(self._opening)
        return await act(self._database)

    async def _open(self) -> Database:
        settings = self._settings
        database = Database(
            settings.database,
            MAX_RUNNING,
            settings.statement_timeout_ms,
            settings,
            cache=self._cache,
        )
        await database.open()
        return database
