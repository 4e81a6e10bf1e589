"""Scrub: remove the remaining bytes of deleted rows from the database's files.

A deleted row remains in its table until the table is rewritten, its values in the statistics until
they are collected again, and the change in the write-ahead log until that is removed.
docs/privacy.md lists what PostgreSQL retains, where and for how long.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from innkeeper.errors import OperatorError
from innkeeper.store.database import with_options

Connection = psycopg.AsyncConnection[DictRow]
Report = Callable[[str], None]

_PATIENCE_SECONDS: Final = 300.0
_PAUSE_SECONDS: Final = 0.2
_MOST_SEGMENTS: Final = 10_000

_TABLES: Final = """
SELECT n.nspname AS schema, c.relname AS name FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND (n.nspname IN ('innkeeper', 'jobs') OR n.nspname LIKE 'ws\\_%')
ORDER BY 1, 2
"""
_STATISTICS: Final = ("pg_statistic", "pg_statistic_ext_data")
_OLDEST: Final = """
SELECT count(*) AS older FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND age(backend_xmin) > age(%s::text::xid)
  AND pid <> pg_backend_pid() AND datname = current_database()
"""


async def scrub(dsn: str, report: Report) -> dict[str, int]:
    """Rewrite tables and statistics, then remove the log; return both counts.

    Each table is locked while it is rewritten. Raises OperatorError without superuser rights, and
    if an old transaction does not end.
    """
    try:
        async with await psycopg.AsyncConnection.connect(
            with_options(dsn), autocommit=True, row_factory=dict_row
        ) as connection:
            await _check(connection)
            await _await_old(connection, report)
            tables = await _rewrite(connection, report)
            segments = await _remove_log(connection, report)
            return {"tables": tables, "segments": segments}
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise OperatorError(f"The database could not be scrubbed: {reason}.") from error


async def _check(connection: Connection) -> None:
    row = await _one(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if not row["rolsuper"]:
        raise OperatorError(
            "Scrubbing needs a superuser of the database: ask whoever runs the server."
        )


async def _await_old(connection: Connection, report: Report) -> None:
    """Wait for transactions that still see deleted rows, since VACUUM keeps those rows."""
    row = await _one(connection, "SELECT pg_current_xact_id()::text AS now")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        older = await _one(connection, _OLDEST, [row["now"]])
        if not older["older"]:
            return
        if time.monotonic() > deadline:
            raise OperatorError("A transaction that began long ago is still open: end it first.")
        report("waiting for older transactions")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _rewrite(connection: Connection, report: Report) -> int:
    cursor = await connection.execute(_TABLES)
    tables = await cursor.fetchall()
    for row in tables:
        name = sql.Identifier(row["schema"], row["name"])
        report(f"rewriting {row['schema']}.{row['name']}")
        await connection.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(name))
    for catalogue in _STATISTICS:
        statistics = sql.Identifier("pg_catalog", catalogue)
        await connection.execute(sql.SQL("VACUUM FULL {}").format(statistics))
    return len(tables)


async def _remove_log(connection: Connection, report: Report) -> int:
    """Fill every current segment of the log, so that checkpoints delete it instead of reusing
    it."""
    # All earlier writes are in the tables from here on.
    await connection.execute("ALTER SYSTEM SET wal_recycle = off")
    try:
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute("CHECKPOINT")
        old = {row["name"] for row in await _segments(connection)}
        left = set(old)
        for _ in range(_MOST_SEGMENTS):
            report(f"removing the log, {len(left)} segments left")
            # A recycled segment contains old bytes until it is used: a switch fills it.
            await connection.execute("SELECT pg_logical_emit_message(false, 'scrub', '')")
            await connection.execute("SELECT pg_switch_wal()")
            await connection.execute("CHECKPOINT")
            left = old & {row["name"] for row in await _segments(connection)}
            if not left:
                return len(old)
        raise OperatorError(
            "The database keeps its log, for a replica or an archive: remove it there."
        )
    finally:
        await connection.execute("ALTER SYSTEM RESET wal_recycle")
        await connection.execute("SELECT pg_reload_conf()")


async def _segments(connection: Connection) -> list[DictRow]:
    cursor = await connection.execute(
        "SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"
    )
    return await cursor.fetchall()


async def _one(connection: Connection, query: str, params: Any = None) -> DictRow:
    row = await (await connection.execute(query, params)).fetchone()
    assert row is not None  # noqa: S101 - each of these queries has a row
    return row


def clear_server_log(data: Path) -> None:
    """Empty the log of the embedded server, whose messages can quote stored values."""
    for name in ("postgres.log", "postgres.log.old"):
        with suppress(FileNotFoundError):
            os.truncate(data / name, 0)
