"""A connection lent to one caller for one workspace: runs named queries and holds a transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import IO, Any, Final, TypeVar

import psycopg
from psycopg.pq.abc import PGresult
from psycopg.types.json import Jsonb

from innkeeper import clock
from innkeeper.store import copying
from innkeeper.store.batching import Alone
from innkeeper.store.driver_errors import translated
from innkeeper.store.json_rows import json_rows
from innkeeper.store.lender import Lender
from innkeeper.store.limiter import Limiter
from innkeeper.store.pooled_connection import PooledConnection
from innkeeper.store.queries import Queries
from innkeeper.store.result_size import check_json_size
from innkeeper.store.shared_statements import (
    call_shared,
    create_shared,
    execute_shared,
    read_shared,
    run_shared,
)

# `Json(value)` makes a parameter jsonb.
Json = Jsonb

Row = dict[str, Any]
Item = TypeVar("Item")
Result = TypeVar("Result")
Parts = Mapping[str, Sequence[str]]
"""Marker of a query -> names of the queries that replace it."""
_NONE: Final[Parts] = {}
_TICK: Final = timedelta(milliseconds=1)
"""The smallest difference of two times that the API can show (C-8)."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)

_TEMPORARY: Final = Queries("pg_temp")


class Work:
    """Named queries on one connection, each in its own transaction unless one is open.

    A query gets the parameters `actor` and `now`, if it has them, from here unless they are passed.
    Every method raises the result of `driver_errors.translated` for the driver's errors.
    """

    __slots__ = (
        "_changed",
        "_connection",
        "_lender",
        "_on_demand",
        "_open",
        "_queries",
        "_spoilt",
        "_stamped",
        "actor",
        "cache",
        "json_bytes_max",
        "limits",
        "session_held",
        "settings",
        "workspace",
    )

    def __init__(
        self,
        connection: PooledConnection | None,
        workspace: str,
        queries: Queries,
        lender: Lender,
        actor: str,
    ) -> None:
        """Without a connection it takes one for the first query that does not run in a batch."""
        self._connection = connection
        self._on_demand = connection is None
        self.workspace = workspace
        self.settings = lender.settings
        self.cache = lender.cache
        """The cache of configuration of this process and database."""
        self.limits = lender.limits
        """The slots of this process for slow operations."""
        self.actor = actor
        """The client key, user or job that acts, for ledgers and the audit log."""
        self.json_bytes_max: int | None = None
        """Maximum bytes of JSON in one result; more raises `LargeResult`. None: no limit."""
        self.session_held = 0
        """Number of locks that this connection's session holds, which would remain with the
        connection."""
        self._queries = queries
        self._lender = lender
        self._open = False
        self._spoilt = False
        self._changed: set[str] = set()  # kinds of cached configuration, by the open transaction
        self._stamped = _NEVER

    @property
    def connection(self) -> PooledConnection:
        """The connection that is held."""
        if self._connection is None:
            raise RuntimeError("no connection is held")
        return self._connection

    async def _connect(self) -> PooledConnection:
        """Take a connection if none is held; raises `Unavailable` if none is free in time."""
        if not self._on_demand:
            # A query without a connection raises an error, instead of joining another caller's
            # transaction.
            raise RuntimeError("no connection is held")
        self._connection = await self._lender.checkout()
        return self._connection

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[PooledConnection]:
        """Yield the connection, and translate the driver's errors."""
        try:
            yield self._connection or await self._connect()
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise translated(error) from error

    async def end(self) -> None:
        """Return the connection, if one is held. No query may follow."""
        self._on_demand = False
        await self.give_back()

    def stamp(self) -> datetime:
        """The current time, but later than the last one this returned, so that the records of one
        request are listed in the order of their creation (L-10)."""
        self._stamped = max(clock.now(), self._stamped + _TICK)
        return self._stamped

    def on_temporary_tables(self) -> "Work":
        """Return work on this connection whose queries use its temporary tables instead of those of
        the workspace, by the same names. It takes part in an open transaction."""
        return Work(self.connection, self.workspace, _TEMPORARY, self._lender, self.actor)

    @asynccontextmanager
    async def released(self) -> AsyncIterator[None]:
        """Lend the connection to others during slow work, in which no query may run.

        Has no effect inside a transaction, and while the session holds a lock. Afterwards the
        connection is another one, without the temporary tables of the session. Raises `Unavailable`
        if none is free in time.
        """
        if self._open or self.session_held:
            yield
            return
        await self.give_back()
        if self._on_demand:
            yield
            return
        try:
            yield
        except Exception:
            self._connection = await self._lender.checkout()
            raise
        self._connection = await self._lender.checkout()

    @asynccontextmanager
    async def in_slot(self, slots: Limiter) -> AsyncIterator[None]:
        """Hold a slot; others may use the connection while this waits. Raises `Unavailable`."""
        async with AsyncExitStack() as stack:
            async with self.released():
                await stack.enter_async_context(slots)
            yield

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[None]:
        """Use a connection of the separate pool for queries of the lake, and lend the own one to
        others.

        As `released`, but for work that needs a connection for long. Take a slot of
        `limits.questions` first: there are as many connections as slots.
        """
        async with self.released():
            if self._connection is not None:
                yield
                return
            self._connection = connection = await self._lender.checkout(apart=True)
            try:
                yield
            finally:
                self._connection = None
                await self._lender.put_back(connection, apart=True)

    async def give_back(self) -> None:
        """Return the connection, if there is one, to where it was lent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._lender.put_back(connection)

    async def one(self, query: str, /, *, parts: Parts = _NONE, **params: Any) -> Row | None:
        """Return the first row of a query, or None."""
        rows = await self.fetch_all(self._queries.text(query, **parts), params, most=1)
        return rows[0] if rows else None

    async def row(self, query: str, /, *, parts: Parts = _NONE, **params: Any) -> Row:
        """Return the first row of a query that always has one."""
        row = await self.one(query, parts=parts, **params)
        if row is None:
            raise RuntimeError(f"{query} returned no row in workspace {self.workspace}")
        return row

    async def all(self, query: str, /, *, parts: Parts = _NONE, **params: Any) -> list[Row]:
        """Return every row of a query."""
        return await self.fetch_all(self._queries.text(query, **parts), params)

    async def all_as_text(self, query: str, /, *, parts: Parts = _NONE, **params: Any) -> list[Row]:
        """As `all`, with refs as text, and instants as the API formats them."""
        return await self.fetch_all(self._queries.text(query, **parts), params, as_text=True)

    async def all_as_json(self, query: str, /, *, parts: Parts = _NONE, **params: Any) -> list[Row]:
        """As `all`, with values that stay JSON text, those of the body as columns (`json_rows`).

        Concurrent requests for the same query with equal parameters share its result.
        """
        text = self._queries.text(query, **parts)
        values = (tuple(each) if isinstance(each, list) else each for each in params.values())
        equal = (text, self.json_bytes_max, frozenset(zip(params, values, strict=True)))
        share = partial(execute_shared, text, params, self.json_bytes_max)
        alone = partial(self.execute, text, params)
        result = await self.in_batch(query, share, None, alone, queue=equal, is_passing=True)
        return json_rows(result)

    async def fetch_all(
        self, text: str, params: Mapping[str, Any], *, as_text: bool = False, most: int = -1
    ) -> list[Row]:
        """Return every row of a statement, at most `most`; `as_text` as `all_as_text` returns
        them."""
        result = await self.execute(text, params)
        try:
            return self.connection.statements.rows(result, as_text=as_text, most=most)
        except psycopg.Error as error:
            raise translated(error) from error

    async def execute(self, text: str, params: Mapping[str, Any]) -> PGresult:
        """Run a statement and return its result, which outlasts the connection."""
        try:
            connection = self._connection or await self._connect()
            result = await connection.statements.run(text, params, self._default)
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise translated(error) from error
        check_json_size(result, self.json_bytes_max)
        return result

    def _default(self, parameter: str) -> Any:
        """Return a parameter of a statement that its caller does not pass."""
        if parameter == "actor":
            return self.actor
        if parameter == "now":
            return clock.now()
        raise KeyError(parameter)

    async def one_batched(
        self, query: str, /, *, parts: Parts = _NONE, **params: Any
    ) -> Row | None:
        """As `one`, for a read; concurrent requests for the same query share a statement."""
        rows = await self.all_batched(query, parts=parts, **params)
        return rows[0] if rows else None

    async def all_batched(self, query: str, /, *, parts: Parts = _NONE, **params: Any) -> list[Row]:
        """As `all`, for a read; concurrent requests for the same query share a statement."""
        text = self._queries.text(query, **parts)
        read = partial(read_shared, text, self.json_bytes_max)
        key = (text, self.json_bytes_max)
        alone = partial(self.fetch_all, text, params)
        rows: list[Row] = await self.in_batch(query, read, params, alone, queue=key)
        return rows

    async def create_batched(
        self, query: str, batch_query: str, /, *, key: Hashable = None, **params: Any
    ) -> Row | None:
        """As `one`, for a statement that creates a record; concurrent requests for the same query
        share `batch_query`, which takes their parameters as `elements`.

        It returns a row with the `batch_position` of each element that it created. The others run
        alone, those with the same `key` in order of arrival.
        """
        create = partial(create_shared, batch_query)
        alone = partial(self.one, query, **params)
        row: Row | None = await self.in_batch(query, create, params, alone, key)
        return row

    async def call_batched(self, query: str, batch_query: str, /, **params: Any) -> list[Row]:
        """As `all`, for a function that writes; concurrent requests for the same query share
        `batch_query`, which takes their parameters as `elements` and returns rows with the
        `batch_position` of their element."""
        call = partial(call_shared, batch_query)
        rows: list[Row] = await self.in_batch(
            query, call, params, partial(self.all, query, **params)
        )
        return rows

    async def in_batch(
        self,
        kind: str,
        run_batch: Callable[["Work", Sequence[Item]], Awaitable[Sequence[Result | Alone]]],
        item: Item,
        run_alone: Callable[[], Awaitable[Result]],
        key: Hashable = None,
        *,
        queue: Hashable = None,
        is_passing: bool = False,
    ) -> Result:
        """Return the result of a call that concurrent calls of its kind may share a batch with
        (`BatchQueue.run`). It holds no connection while it waits.

        Calls of one kind share a batch only if their `queue` is equal. `is_passing`: there are many
        such queues (`BatchQueues.get`).
        """
        if not self.may_batch:
            return await run_alone()
        lender, workspace = self._lender, self.workspace
        run = (run_shared, lender, workspace, run_batch)
        shared = lender.batches.get(kind, (workspace, queue), *run, is_passing=is_passing)
        if self._connection is not None and shared.must_wait(key):
            await self.give_back()
        result: Result = await shared.run(item, run_alone, key)
        return result

    @property
    def may_batch(self) -> bool:
        """Whether a query may run on another connection than this one."""
        return self._on_demand and not self._open and not self.session_held

    async def run(self, query: str, /, *, parts: Parts = _NONE, **params: Any) -> int:
        """Run a statement; return the number of rows that it wrote."""
        result = await self.execute(self._queries.text(query, **parts), params)
        return result.command_tuples or 0

    async def copy_in(self, query: str, rows: copying.Rows) -> int:
        """Send rows through the `COPY … FROM STDIN (FORMAT binary)` called `query`; return their
        number. Values have the types of the table's columns."""
        async with self._connected() as connection:
            return await copying.copy_in(connection, query, self._queries.text(query), rows)

    async def copy_encoded(self, query: str, content: bytes) -> int:
        """As `copy_in`, with the encoded content of a COPY (`binary_rows.encode`)."""
        async with self._connected() as connection:
            return await copying.copy_encoded(connection, self._queries.text(query), content)

    async def copy_out(
        self, query: str, target: IO[bytes], *, parts: Parts = _NONE, **params: Any
    ) -> int:
        """Write the result of the `COPY … TO STDOUT` called `query` to `target`; return the number
        of rows."""
        text = self._queries.text(query, **parts)
        async with self._connected() as connection:
            return await copying.copy_out(connection, text, params, target)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._open

    async def in_turn(self, *queries: tuple[str, Mapping[str, Any]]) -> list[list[Row]]:
        """Return every row of several queries with their parameters, in one round trip.

        They run one after the other, and each sees what was committed before it began.
        """
        async with self._connected() as connection:
            async with connection.pipeline():
                cursors = [
                    await connection.execute(self._queries.text(query), params)
                    for query, params in queries
                ]
            return [await cursor.fetchall() for cursor in cursors]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Open a transaction; inside an open one, join it.

        An exception, also out of an inner block, rolls back all of it: there are no savepoints.
        """
        if self._open:
            try:
                yield
            except BaseException:
                self._spoilt = True
                raise
            return
        await self._command(b"BEGIN")
        self._open, self._spoilt, self._changed = True, False, set()
        try:
            yield
            await self._commit()
        except BaseException:
            if not self.connection.closed:
                await self._command(b"ROLLBACK")
            raise
        finally:
            self._open = False

    async def _commit(self) -> None:
        if self._spoilt:
            raise RuntimeError("an error was swallowed inside this transaction")
        # PostgreSQL answers a COMMIT of a failed transaction with ROLLBACK, not with an error.
        if await self._command(b"COMMIT") != b"COMMIT":
            raise RuntimeError("a database error was swallowed inside this transaction")
        for kind in self._changed:
            self.cache.clear(kind)

    def drop_cached(self, kind: str) -> None:
        """Remove a kind of configuration from the cache of this process, since this work changed
        it; inside a transaction, once it is committed. Other processes are notified just after."""
        if self._open:
            self._changed.add(kind)
        else:
            self.cache.clear(kind)

    async def _command(self, sql: bytes) -> bytes | None:
        try:
            connection = self._connection or await self._connect()
            return (await connection.statements.command(sql)).command_status
        except psycopg.Error as error:
            raise translated(error) from error


Lend = Callable[[], AbstractAsyncContextManager[Work]]
"""Lends a connection for a limited time, to a caller that does not need one all the time."""
