"""Rows out of Parquet files, in constant memory, however many columns they have."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from innkeeper.store.parquet_types import json_ready, quoted
from innkeeper.store.readers import Unreadable

_MEMORY: Final = "256MB"
_ROWS: Final = 1000
WIDE: Final = 1000
"""Columns above which a file is read by windows: DuckDB reads 2,048 rows at once, and all of their
JSON does not fit into its memory."""
_COLUMNS: Final = 500
"""Columns of a window that are read at once."""
_FIRST_WINDOW: Final = 64
_LARGEST_WINDOW: Final = 512
_WINDOW_BYTES: Final = 32 << 20
_TOO_LARGE: Final = (
    f"a row takes more than {_MEMORY} of memory. Write the file with fewer or shorter columns, or "
    "as CSV"
)
_FROM: Final = "FROM read_parquet(?, file_row_number = true) WHERE file_row_number >= ?"


def parquet_rows(path: Path, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, JSON object) of each row after a number; raises `Unreadable`."""
    # Imported here since it is slow to import, and most processes do not need it.
    import duckdb  # noqa: PLC0415

    connection = duckdb.connect(config={"memory_limit": _MEMORY, "threads": 1})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        table = connection.read_parquet(str(path))
        fields = [
            f"{quoted(name)} := {json_ready(kind, quoted(name))}"
            for name, kind in zip(table.columns, table.types, strict=True)
        ]
        if len(fields) <= WIDE:
            try:
                for number, text in _whole_rows(connection, path, fields, after):
                    yield number, text
                    after = number
                return
            except duckdb.OutOfMemoryException:
                # The rest is read in smaller pieces.
                pass
        yield from _by_windows(connection, path, fields, after)
    except duckdb.OutOfMemoryException as error:
        raise Unreadable(_TOO_LARGE) from error
    except duckdb.Error as error:
        raise Unreadable(str(error).partition("\n")[0]) from error
    finally:
        connection.close()


def _whole_rows(
    connection: Any, path: Path, fields: Sequence[str], after: int
) -> Iterator[tuple[int, bytes]]:
    # Names come from the file, and are quoted.
    packed = ", ".join(fields)
    query = f"SELECT file_row_number + 1, to_json(struct_pack({packed})) {_FROM}"
    connection.execute(query, [str(path), after])
    while rows := connection.fetchmany(_ROWS):
        for number, text in rows:
            yield number, text.encode()


def _by_windows(
    connection: Any, path: Path, fields: Sequence[str], after: int
) -> Iterator[tuple[int, bytes]]:
    """Read some rows at a time, and of them some columns; the windows follow the rows' size."""
    import duckdb  # noqa: PLC0415

    connection.execute("SET parquet_metadata_cache = true")
    size = _FIRST_WINDOW
    while True:
        try:
            rows = _window(connection, path, fields, after, size)
        except duckdb.OutOfMemoryException:
            if size == 1:
                raise
            size //= 2
            continue
        if not rows:
            return
        yield from enumerate(rows, after + 1)
        after += len(rows)
        average = sum(map(len, rows)) // len(rows)
        size = max(1, min(_LARGEST_WINDOW, _WINDOW_BYTES // (average + 1)))


def _window(
    connection: Any, path: Path, fields: Sequence[str], after: int, size: int
) -> list[bytes]:
    """Return the JSON objects of the rows past a number, at most `size`."""
    parts = list[list[bytes]]()
    for start in range(0, len(fields), _COLUMNS):
        packed = ", ".join(fields[start : start + _COLUMNS])
        query = f"SELECT to_json(struct_pack({packed})) {_FROM} AND file_row_number < ?"
        rows = connection.execute(query, [str(path), after, after + size]).fetchall()
        parts.append([text.encode()[1:-1] for (text,) in rows])
    return [b"{" + b",".join(row) + b"}" for row in zip(*parts, strict=True)]


def parquet_columns(path: Path) -> list[str]:
    """Return the column names of a Parquet file; raises `Unreadable`."""
    import duckdb  # noqa: PLC0415

    try:
        with duckdb.connect() as connection:
            return list(connection.read_parquet(str(path)).columns)
    except duckdb.Error as error:
        raise Unreadable(str(error).partition("\n")[0]) from error


def parquet_count(path: Path) -> int:
    """Return the number of rows of a Parquet file, from its metadata; raises `Unreadable`."""
    return _number(path, "SELECT sum(num_rows) FROM parquet_file_metadata(?)")


def first_rows_end(path: Path) -> int:
    """Return where the first rows of a Parquet file end, those of its first group, by its
    metadata; 0 without rows. Raises `Unreadable`."""
    return _number(
        path,
        "SELECT max(least(data_page_offset, coalesce(nullif(dictionary_page_offset, 0), "
        "data_page_offset)) + total_compressed_size) FROM parquet_metadata(?) "
        "WHERE row_group_id = 0",
    )


def _number(path: Path, query: str) -> int:
    """Return the number that a query of a file's metadata has, or 0; raises `Unreadable`."""
    import duckdb  # noqa: PLC0415

    try:
        with duckdb.connect() as connection:
            row = connection.execute(query, [str(path)]).fetchone()
    except duckdb.Error as error:
        raise Unreadable(str(error).partition("\n")[0]) from error
    return int(row[0] or 0) if row else 0


def parquet_footer(end: bytes) -> bool:
    """Return whether the last bytes of a Parquet file hold all of its metadata."""
    return end.endswith(b"PAR1") and int.from_bytes(end[-8:-4], "little") + 8 <= len(end)
