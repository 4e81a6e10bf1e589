"""A database connection whose socket stays registered with the event loop between statements."""

import asyncio
import logging
import select
from functools import cached_property
from typing import Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow
from psycopg.waiting import Ready, Wait

from innkeeper.store.statements import Statements

Result = TypeVar("Result")

_CANCEL_SECONDS: Final = 5.0
_ENDED: Final = select.POLLERR | select.POLLHUP | select.POLLNVAL

log = logging.getLogger(__name__)


class PooledConnection(psycopg.AsyncConnection[DictRow]):
    """A connection that registers its socket once; psycopg registers and unregisters it for each
    statement, with eight system calls.

    Statements that send much data, or wait with a timeout, use psycopg's own way.
    """

    from_pool_at = 0.0
    """Monotonic time at which the pool last lent it."""
    _watched = -1
    """The registered file descriptor, or -1."""
    _bytes_came: asyncio.Future[None] | None = None
    """Set while a statement waits for its result."""

    @cached_property
    def statements(self) -> Statements:
        """The statements of this connection."""
        return Statements(self)

    def is_idle(self) -> bool:
        """Whether it is open, and neither a statement nor a transaction is under way."""
        return self.pgconn.transaction_status == TransactionStatus.IDLE

    def is_sound(self) -> bool:
        """Whether an idle connection can be used, without a request to the server.

        No statement is running, so readable bytes are unexpected: usually the server closed the
        connection.
        """
        if not self.is_idle():
            return False
        try:
            # A server that closes sends an error first: read until the end.
            while self._poll.poll(0):
                self.pgconn.consume_input()
        except psycopg.OperationalError:
            return False
        return not self.closed

    @cached_property
    def _poll(self) -> select.poll:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return poll

    async def wait(
        self,
        gen: PQGen[Result],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's
    ) -> Result:
        """Run a generator of psycopg that communicates with the server; return its result."""
        if timeout is not None:
            self._unwatch()
            return await super().wait(gen, interval, timeout)
        try:
            wait_for = next(gen)
        except StopIteration as end:
            # psycopg lets other tasks run now and then where nothing blocks.
            return await super().wait(_returning(end.value))
        try:
            while not wait_for & Wait.W:
                await self._readable()
                wait_for = gen.send(Ready.R)
        except StopIteration as end:
            result: Result = end.value
            return result
        except asyncio.CancelledError:
            await self._cancel_statement(gen)
            raise
        except BaseException:
            # libpq may have closed the socket; its number may then belong to another one.
            self._unwatch()
            raise
        self._unwatch()
        return await super().wait(_resumed(gen, wait_for), interval)

    async def close(self) -> None:
        """Close the connection; a statement that is waiting fails."""
        self._unwatch()
        if self._bytes_came is not None and not self._bytes_came.done():
            self._bytes_came.set_exception(psycopg.OperationalError("the connection was closed"))
        await super().close()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        if self._watched < 0:
            self._watched = self.pgconn.socket
            loop.add_reader(self._watched, self._wake)
        self._bytes_came = loop.create_future()
        try:
            await self._bytes_came
        finally:
            self._bytes_came = None

    def _wake(self) -> None:
        """Continue the waiting statement, if there is one.

        Unregisters the socket if no statement waits: the server sent a message or closed the
        connection, which the next statement reads, and the loop must not wake for it again and
        again. Also unregisters it if it has an error: libuv then stops watching it without notice,
        so that the next wait must register it again.
        """
        if self._bytes_came is None or self._has_socket_error():
            self._unwatch()
        if self._bytes_came is not None and not self._bytes_came.done():
            self._bytes_came.set_result(None)

    def _has_socket_error(self) -> bool:
        """Whether the other end reset or ended the connection; unread data is still readable."""
        return any(events & _ENDED for _, events in self._poll.poll(0))

    def _unwatch(self) -> None:
        if self._watched >= 0:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = -1

    async def _cancel_statement(self, gen: PQGen[Result]) -> None:
        """Cancel the statement and read the rest of its result; if that fails, the connection is
        closed."""
        self._unwatch()
        if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
            return
        try:
            await self.cancel_safe(timeout=_CANCEL_SECONDS)
            await super().wait(_resumed(gen, Wait.R), timeout=_CANCEL_SECONDS)
        except psycopg.errors.QueryCanceled:
            return
        except BaseException as error:
            log.warning("a statement could not be cancelled: %s", type(error).__name__)
            self.pgconn.finish()
            if not isinstance(error, Exception):
                raise


def _returning(value: Result) -> PQGen[Result]:
    """A generator that returns at once."""
    return value
    yield Wait.R


def _resumed(gen: PQGen[Result], wait_for: Wait) -> PQGen[Result]:
    """The rest of a generator that waits for `wait_for`."""
    try:
        while True:
            wait_for = gen.send((yield wait_for))
    except StopIteration as end:
        result: Result = end.value
        return result
