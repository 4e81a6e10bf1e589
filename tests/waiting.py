"""Wait for what must happen, generously; a failure says what was waited for.

No everyday test asserts how long something takes: the machine may be slow and busy. What is about
order or blocking waits for a lock, a count or an event; how fast it is, `make bench` measures.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg

Result = TypeVar("Result")

PATIENCE_SECONDS = 180.0
"""Long past any slow machine: what has not happened by then never will."""
_LOOK_SECONDS = 0.02

_BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
_BUSY_WITH = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND state = 'active' AND pid <> pg_backend_pid() AND query LIKE %s"
)


def until(what: str, look: Callable[[], Result], pause: float = _LOOK_SECONDS) -> Result:
    """Wait until `look` answers something true, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (result := look()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS:g} s for {what}"
        time.sleep(pause)
    return result


async def wait_until(what: str, look: Callable[[], Result | Awaitable[Result]]) -> Result:
    """The same on an event loop, of a function or a coroutine function."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        result: Any = look()
        if isinstance(result, Awaitable):
            result = await result
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS:g} s for {what}"
        await asyncio.sleep(_LOOK_SECONDS)


def until_blocked(dsn: str, sessions: int = 1) -> None:
    """Wait until so many sessions of a database wait for a lock."""
    with psycopg.connect(dsn, autocommit=True) as looking:
        what = f"{sessions} sessions that wait for a lock"
        until(what, lambda: _counted(looking, sessions, _BLOCKED))


async def wait_until_blocked(dsn: str, sessions: int = 1) -> None:
    """The same on an event loop."""
    await asyncio.to_thread(until_blocked, dsn, sessions)


async def wait_until_busy(dsn: str, statement: str) -> None:
    """Wait until a session of a database runs a statement that is LIKE the one given."""

    def look() -> None:
        with psycopg.connect(dsn, autocommit=True) as looking:
            what = f"a session that runs {statement}"
            until(what, lambda: _counted(looking, 1, _BUSY_WITH, statement))

    await asyncio.to_thread(look)


def _counted(connection: psycopg.Connection, expected: int, query: str, *arguments: str) -> bool:
    row = connection.execute(query, arguments or None).fetchone()
    assert row is not None
    return int(row[0]) >= expected
