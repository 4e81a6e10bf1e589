"""Rows out of CSV and Parquet files, in constant memory."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from innkeeper.store.parquet_types import json_ready, quoted
from innkeeper.store.readers import MAX_LINE, Unreadable, readable

DELIMITERS: Final = ",;\t|"
_ROWS: Final = 1000
_MEMORY: Final = "256MB"


def csv_rows(
    stream: IO[bytes], after: int = 0, *, encoding: str = "utf-8-sig", delimiter: str = ""
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line it ends on, column -> text) of each row past a line; raises `Unreadable`.

    The first row names the columns. Cells without a column are under None, as a list.
    """
    csv.field_size_limit(MAX_LINE)
    buffered = io.BufferedReader(_Raw(stream), 1 << 20)
    if not delimiter:
        start = buffered.peek(65536).partition(b"\n")[0]
        delimiter = max(DELIMITERS, key=start.decode(encoding, "replace").count)
    with readable():
        text = io.TextIOWrapper(buffered, encoding=encoding, newline="")
        rows = csv.reader(text, delimiter=delimiter)
        try:
            names = next(rows, [])
            for row in rows:
                if rows.line_num > after and row:
                    yield rows.line_num, _named(names, row)
        except (csv.Error, UnicodeDecodeError) as error:
            raise Unreadable(f"line {rows.line_num + 1}: {error}") from error


def _named(names: list[str], row: list[str]) -> dict[str, Any]:
    named: dict[str, Any] = dict(zip(names, row, strict=False))
    if len(row) > len(names):
        named[""] = row[len(names) :]
    return named


def parquet_rows(path: Path, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """(number from 1, JSON object) of each row past a number; raises `Unreadable`."""
    # Slow to import, and of no use to most processes.
    import duckdb  # noqa: PLC0415

    connection = duckdb.connect(config={"memory_limit": _MEMORY, "threads": 1})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        table = connection.read_parquet(str(path))
        packed = ", ".join(
            f"{quoted(name)} := {json_ready(kind, quoted(name))}"
            for name, kind in zip(table.columns, table.types, strict=True)
        )
        # Names are the file's own, quoted.
        connection.execute(
            f"SELECT file_row_number + 1, to_json(struct_pack({packed})) "  # noqa: S608
            "FROM read_parquet(?, file_row_number = true) WHERE file_row_number >= ?",
            [str(path), after],
        )
        while rows := connection.fetchmany(_ROWS):
            for number, text in rows:
                yield number, text.encode()
    except duckdb.Error as error:
        raise Unreadable(str(error).partition("\n")[0]) from error
    finally:
        connection.close()


def parquet_columns(path: Path) -> list[str]:
    """The column names of a Parquet file; raises `Unreadable`."""
    import duckdb  # noqa: PLC0415

    try:
        with duckdb.connect() as connection:
            return list(connection.read_parquet(str(path)).columns)
    except duckdb.Error as error:
        raise Unreadable(str(error).partition("\n")[0]) from error


class _Raw(io.RawIOBase):
    """A stream that need not be seekable, as `BufferedReader` wants it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
