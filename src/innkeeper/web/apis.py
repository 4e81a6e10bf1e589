"""The two APIs on one database, which closes with them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from innkeeper.settings import Settings
from innkeeper.store.configuration_cache import CHANNEL
from innkeeper.store.database import Database
from innkeeper.store.notifications import Notifications
from innkeeper.web.api import Api
from innkeeper.web.auth import Keyring
from innkeeper.web.large_requests import LargeRequests
from innkeeper.web.stream import Stream
from innkeeper.wire.stream.routes import is_stream

# Longest wait for the lake: a busy lake is reported soon rather than after a long wait.
QUESTION_WAIT_SECONDS = 30.0


class Apis:
    """The REST API and the stream API. `large` forwards large requests to another process; without
    it they run in this one."""

    def __init__(self, settings: Settings, large: LargeRequests | None) -> None:
        self.database = Database(
            settings.database,
            settings.pool_size,
            settings.statement_timeout_ms,
            settings,
            question_wait_seconds=QUESTION_WAIT_SECONDS,
        )
        self._settings = settings
        self._large = large
        keyring = Keyring(self.database)
        self.rest = Api(settings, self.database, keyring, large)
        self.stream = Stream(settings, self.database, keyring, large)

    def at(self, path: str) -> Api | Stream:
        """Return the API that a path belongs to."""
        return self.stream if is_stream(path) else self.rest

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect to the database, and listen to notifications of changed configuration."""
        cache = self.database.cache
        notifications = Notifications(self._settings.database, {CHANNEL: cache.clear}, cache.listen)
        await self.database.open()
        await notifications.start()
        try:
            yield
        finally:
            await notifications.close()
            if self._large is not None:
                await self._large.close()
            await self.database.close()
