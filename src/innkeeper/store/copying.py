"""PostgreSQL's COPY: rows in by the binary format, text out to a file."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Final

import psycopg
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many
from psycopg.pq import ExecStatus
from psycopg.rows import DictRow

_COPY: Final = re.compile(r"COPY (\S+)\s+\(([^)]+)\)\s+FROM STDIN \(FORMAT binary\)$")
_column_types: dict[str, Sequence[int]] = {}
"""Name of a query `COPY … FROM STDIN` -> OIDs of its columns, after its first use."""
Rows = Iterable[Sequence[Any]]
"""Rows with a value for each column."""


async def copy_in(
    connection: psycopg.AsyncConnection[DictRow], query: str, text: str, rows: Rows
) -> int:
    """Send rows through a `COPY … FROM STDIN (FORMAT binary)`; return their number."""
    async with connection.cursor() as cursor:
        types = _column_types.get(query) or await _types(cursor, query, text)
        async with cursor.copy(text) as copy:
            copy.set_types(types)
            for row in rows:
                await copy.write_row(row)
        return cursor.rowcount


async def copy_encoded(
    connection: psycopg.AsyncConnection[DictRow], text: str, content: bytes
) -> int:
    """Send encoded rows (`binary_rows`) through a `COPY … FROM STDIN (FORMAT binary)`; return
    their number."""
    async with connection.cursor() as cursor:
        async with cursor.copy(text) as copy:
            await copy.write(content)
        return cursor.rowcount


async def copy_out(
    connection: psycopg.AsyncConnection[DictRow],
    text: str,
    params: Mapping[str, Any],
    target: IO[bytes],
) -> int:
    """Write the output of a `COPY … TO STDOUT` to `target`; return the number of rows."""
    pgconn = connection.pgconn
    async with connection.cursor() as cursor:
        async with cursor.copy(text, params or None) as copy:
            while block := await copy.read():
                # Rows that have arrived are taken without `read`, which takes four times as long.
                size = len(block)
                while size > 0:
                    target.write(block)
                    size, block = pgconn.get_copy_data(1)
                if size < 0:
                    (result,) = await connection.wait(fetch_many(pgconn))
                    if result.status != ExecStatus.COMMAND_OK:
                        raise error_from_result(result, connection.info.encoding)
                    return result.command_tuples or 0
        return cursor.rowcount


async def _types(cursor: psycopg.AsyncCursor[DictRow], query: str, text: str) -> Sequence[int]:
    """Return the types of the columns of a `COPY`, which are the same in every workspace."""
    into = _COPY.match(text)
    if into is None:
        raise ValueError(f"{query} is no COPY of named columns in binary format")
    await cursor.execute(f"SELECT {into[2]} FROM {into[1]} LIMIT 0")  # noqa: S608 - our own
    types = _column_types[query] = [column.type_code for column in cursor.description or ()]
    return types
