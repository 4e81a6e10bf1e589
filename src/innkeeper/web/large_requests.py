"""Forward requests with large bodies, and reads with large results, to a separate process.

Parsing and checking a megabyte of JSON takes Python up to a second, in which nothing else of its
process runs. The process is started for the first of these requests, runs at a lower priority, and
ends when it has had no request for a while.
"""

import asyncio
import os
import sys
from contextlib import suppress
from itertools import count
from typing import Final, cast

import msgspec
from prometheus_client import Counter
from starlette.types import Scope

from innkeeper.errors import Unavailable
from innkeeper.settings import Settings
from innkeeper.store.limiter import Limiter
from innkeeper.web.forwarded import ForwardedRequest, ForwardedResponse, read_frame, write_frame
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
IDLE_SECONDS: Final = 60.0
"""Seconds without a request after which the process ends."""
_END_SECONDS: Final = 5.0
LARGE: Final = Counter("innkeeper_large_bodies_total", "Requests with large bodies or results.")
_COMMAND: Final = (sys.executable, "-P", "-m", "innkeeper.web.large_worker")


def is_large(body: bytes) -> bool:
    """Whether a request with this body is forwarded rather than answered on the event loop."""
    size = len(body)
    return size > LARGE_BYTES or (size > _COUNTED_BYTES and count_marks(body) > MANY_MARKS)


class LargeRequests:
    """Forwards two requests at a time; others wait in order, without a connection."""

    def __init__(self, settings: Settings, idle_seconds: float = IDLE_SECONDS) -> None:
        self._settings = settings
        self._idle_seconds = idle_seconds
        self._limiter = Limiter("requests with large bodies", MAX_RUNNING, MAX_PENDING)
        self._starting = asyncio.Lock()
        self._worker: _Worker | None = None
        self._running = 0
        self._idle: asyncio.TimerHandle | None = None
        self._ending = set[asyncio.Task[None]]()

    async def forward(self, scope: Scope, body: bytes) -> ForwardedResponse:
        """Return the response to a request; raises `Unavailable` when too many wait or the process
        ended."""
        async with self._limiter:
            LARGE.inc()
            self._running += 1
            try:
                worker = await self._started()
                return await worker.exchange(scope, body)
            finally:
                self._running -= 1
                self._end_when_idle()

    async def close(self) -> None:
        """End the process."""
        if self._idle is not None:
            self._idle.cancel()
        self._end()
        await asyncio.gather(*self._ending)

    async def _started(self) -> "_Worker":
        async with self._starting:
            if self._worker is None or self._worker.has_ended:
                self._worker = await _Worker.start(self._settings)
            return self._worker

    def _end_when_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(self._idle_seconds, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if not self._running:
            self._end()

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            ending = asyncio.get_running_loop().create_task(worker.end())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)


class _Worker:
    """A running process, and the requests that wait for its responses."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._writer = cast(asyncio.StreamWriter, process.stdin)
        self._reader = cast(asyncio.StreamReader, process.stdout)
        self._numbers = count()
        self._pending: dict[int, asyncio.Future[ForwardedResponse]] = {}
        self._writing = asyncio.Lock()
        self._reading = asyncio.create_task(self._read())
        self._is_read_to_end = False

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended, or is ending."""
        return self._is_read_to_end or self._process.returncode is not None

    @classmethod
    async def start(cls, settings: Settings) -> "_Worker":
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | settings.environment(),
        )
        return cls(process)

    async def exchange(self, scope: Scope, body: bytes) -> ForwardedResponse:
        number = next(self._numbers)
        response: asyncio.Future[ForwardedResponse] = asyncio.get_running_loop().create_future()
        self._pending[number] = response
        try:
            if self.has_ended:
                raise _ended()
            async with self._writing:
                await write_frame(self._writer, ForwardedRequest.of(number, scope, body))
            return await response
        except ConnectionError:
            raise _ended() from None
        finally:
            self._pending.pop(number, None)

    async def end(self) -> None:
        """Close its input: it ends after the requests that it has. Kill it if that takes long."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        """Pass each response to the request that waits for it, until the process ends."""
        try:
            while (frame := await read_frame(self._reader)) is not None:
                response = msgspec.msgpack.decode(frame, type=ForwardedResponse)
                waiter = self._pending.get(response.number)
                if waiter is not None and not waiter.done():
                    waiter.set_result(response)
        finally:
            self._is_read_to_end = True
            for waiter in self._pending.values():
                if not waiter.done():
                    waiter.set_exception(_ended())


def _ended() -> Unavailable:
    return Unavailable("The process for large requests ended: send the request again.")
