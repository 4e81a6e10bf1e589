"""Notifications that processes send each other through PostgreSQL (LISTEN and NOTIFY)."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import psycopg
from psycopg import sql

from innkeeper.store.database import with_options

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS: Final = 30.0
_LONGEST_PAUSE: Final = 2.0


class Notifications:
    """One listening connection of a process, which reconnects when it is lost.

    `callbacks` maps a channel to a function that is called with each payload. `on_change` is called
    with False when the connection is lost and with True when it is back, since notifications may
    have been missed.
    """

    def __init__(
        self,
        dsn: str,
        callbacks: Mapping[str, Callable[[str], None]],
        on_change: Callable[[bool], None],
    ) -> None:
        self._dsn = with_options(dsn)
        self._callbacks = dict(callbacks)
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self.connected = False

    async def start(self) -> None:
        """Start listening in the background; `connected` is set when the connection is open."""
        self._task = asyncio.create_task(self._forever(), name="notices")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _forever(self) -> None:
        pause = 0.05
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True)
                async with connection:
                    pause = 0.05
                    await self._listen(connection)
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("the listening connection was lost: %s", error)
            finally:
                self._set_connected(False)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _listen(self, connection: psycopg.AsyncConnection) -> None:
        for channel in self._callbacks:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        self._set_connected(True)
        while True:
            async for notice in connection.notifies(timeout=HEARTBEAT_SECONDS):
                self._callbacks[notice.channel](notice.payload)
            # A query shows whether a silent peer is still there.
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await connection.execute("SELECT 1")

    def _set_connected(self, connected: bool) -> None:
        self.connected = connected
        self._on_change(connected)
