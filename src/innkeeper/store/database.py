"""The pool of connections of one process, which lends them as `Work`."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from innkeeper.errors import Unavailable
from innkeeper.settings import Settings
from innkeeper.store.adapters import ADAPTERS
from innkeeper.store.batching import BatchQueues
from innkeeper.store.configuration_cache import ConfigurationCache
from innkeeper.store.driver_errors import Contended
from innkeeper.store.limiter import QUESTIONS_AT_ONCE, Limits
from innkeeper.store.pooled_connection import PooledConnection
from innkeeper.store.queries import Queries, schema_of
from innkeeper.store.work import Work

Result = TypeVar("Result")

# After this wait for a connection the caller gets 503 and should retry.
WAIT_SECONDS: Final = 5.0
# Callers that may wait for each connection; more than these would only time out.
WAITING_PER_CONNECTION: Final = 64
ATTEMPTS: Final = 3
AT_HAND_MAX: Final = 2
"""Maximum number of idle connections that are lent again without the pool."""
AT_HAND_SECONDS: Final = 60.0
"""Longest time in which a connection does not return to the pool, which replaces old ones."""

# The pool reports each checkout, which is noise, and each failed connect, which is not.
logging.getLogger("psycopg.pool").setLevel(logging.WARNING)


class Database:
    """One pool for every workspace: the schema is part of the SQL text, not of the connection."""

    def __init__(
        self,
        dsn: str,
        pool_size: int = 8,
        statement_timeout_ms: int = 30_000,
        settings: Settings | None = None,
        question_wait_seconds: float | None = None,
    ) -> None:
        self.cache = ConfigurationCache()
        self._settings = settings or Settings()
        self.batches = BatchQueues()
        self.limits = Limits.of(pool_size, question_wait_seconds)
        self._control = Queries(None)
        self._queries: dict[str, Queries] = {}
        self._pool = _pool(with_options(dsn, statement_timeout_ms), min(2, pool_size), pool_size)
        # The most recently used last: its server process has plans and pages cached.
        self._at_hand: list[PooledConnection] = []
        self._waiting = 0
        # For queries of the lake, whose snapshots may last for minutes.
        self._apart = _pool(with_options(dsn, statement_timeout_ms), 0, QUESTIONS_AT_ONCE)

    async def open(self) -> None:
        """Connect; raises Unavailable if the database does not respond."""
        await self._pool.open()
        try:
            await self._pool.wait(WAIT_SECONDS * 2)
        except PoolTimeout as error:
            await self._pool.close()
            raise Unavailable("The database cannot be reached.") from error
        await self._apart.open()

    async def close(self) -> None:
        """Close every connection; those that are lent are closed when they come back."""
        await self._apart.close()
        await self._pool.close()
        while self._at_hand:
            await self._pool.putconn(self._at_hand.pop())

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def work(self, workspace: str, actor: str = "system") -> "Lent":
        """Lend a connection for one workspace; raises Unavailable if none is free in time."""
        return Lent(self, workspace, self._queries_of(workspace), actor)

    def work_on_demand(self, workspace: str, actor: str) -> Work:
        """Return work for one workspace that takes a connection for its first query that does not
        share a statement with others. Call its `end`."""
        return Work(None, workspace, self._queries_of(workspace), self, actor)

    def _queries_of(self, workspace: str) -> Queries:
        queries = self._queries.get(workspace)
        if queries is None:
            queries = self._queries[workspace] = Queries(schema_of(workspace))
        return queries

    def control(self, actor: str = "system") -> "Lent":
        """Lend a connection for data outside of workspaces: keys, users, workspaces."""
        return Lent(self, "", self._control, actor)

    async def checkout(self, *, apart: bool = False) -> PooledConnection:
        """Take a connection; `apart`: one of the separate pool for queries of the lake."""
        while self._at_hand and not apart:
            connection = self._at_hand.pop()
            if connection.is_sound():
                return connection
            await self._discard(connection, self._pool)
        pool = self._apart if apart else self._pool
        self._waiting += 1
        try:
            while True:
                connection = await pool.getconn()
                if connection.is_sound():
                    connection.from_pool_at = time.monotonic()
                    return connection
                await self._discard(connection, pool)
        except TooManyRequests as error:
            raise Unavailable("Too many requests wait for the database.") from error
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise Unavailable() from error
        finally:
            self._waiting -= 1

    async def put_back(self, connection: PooledConnection, *, apart: bool = False) -> None:
        """Return a connection that `checkout` gave."""
        if (
            not (apart or self._waiting or self._pool.closed)
            and len(self._at_hand) < AT_HAND_MAX
            and time.monotonic() - connection.from_pool_at < AT_HAND_SECONDS
            and connection.is_idle()
        ):
            self._at_hand.append(connection)
            return
        await (self._apart if apart else self._pool).putconn(connection)

    @staticmethod
    async def _discard(
        connection: PooledConnection, pool: AsyncConnectionPool[PooledConnection]
    ) -> None:
        """Close a connection, which the pool replaces when it comes back."""
        await connection.close()
        await pool.putconn(connection)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings


def _pool(conninfo: str, least: int, most: int) -> AsyncConnectionPool[PooledConnection]:
    """Create a pool, not opened yet, with at least `least` connections."""
    return AsyncConnectionPool(
        conninfo=conninfo,
        connection_class=PooledConnection,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "context": _Adapted(),
            # `Statements` prepares. psycopg would drop all prepared statements after a DROP.
            "prepare_threshold": None,
        },
        min_size=least,
        max_size=most,
        timeout=WAIT_SECONDS,
        max_waiting=most * WAITING_PER_CONNECTION,
        # The pool's own attempts get minutes apart. It gives up soon instead, since the next caller
        # makes it try again.
        reconnect_timeout=2.0,
        open=False,
        name="innkeeper",
    )


class Lent:
    """`async with`: a connection as `Work`, returned at the end.

    A class, since a generator-based context manager costs three times as much on every request.
    """

    __slots__ = ("_actor", "_database", "_queries", "_work", "_workspace")

    def __init__(self, database: Database, workspace: str, queries: Queries, actor: str) -> None:
        self._database = database
        self._workspace = workspace
        self._queries = queries
        self._actor = actor
        self._work: Work | None = None

    async def __aenter__(self) -> Work:
        database = self._database
        connection = await database.checkout()
        self._work = Work(connection, self._workspace, self._queries, database, self._actor)
        return self._work

    async def __aexit__(self, *_: object) -> None:
        if self._work is not None:
            await self._work.end()
            self._work = None


class _Adapted:
    adapters = ADAPTERS
    connection = None


def with_options(dsn: str, statement_timeout_ms: int = 0) -> str:
    """Add the options that all our connections need to an address, after the options of its
    owner."""
    parameters: dict[str, Any] = conninfo_to_dict(dsn)
    options = f"{parameters.get('options') or ''} -c TimeZone=UTC"
    if statement_timeout_ms:
        options += f" -c statement_timeout={statement_timeout_ms}"
    own = {"options": options.strip()}
    if "application_name" not in parameters:
        own["application_name"] = "innkeeper"
    if "connect_timeout" not in parameters:
        own["connect_timeout"] = "5"
    return make_conninfo(dsn, **own)


async def retrying(action: Callable[[], Awaitable[Result]]) -> Result:
    """Run a whole transaction again, three times in all, if it is aborted by a conflict with
    another."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await action()
        except Contended:
            continue
    return await action()
