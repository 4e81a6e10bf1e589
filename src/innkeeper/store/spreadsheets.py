"""Read rows of Excel and OpenDocument workbooks (xlsx, xlsm, xlsb, xls, ods)."""

import json
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Final, TypeAlias, cast

from innkeeper.store import sheet_process
from innkeeper.store.csv_dialect import find_header_row
from innkeeper.store.processes import stop_signals_held
from innkeeper.store.readers import Unreadable
from innkeeper.store.sheet_process import is_filled
from innkeeper.store.tables import EXTRA, column_names

LARGEST_CONTENT: Final = 256 << 20
"""Maximum decompressed size of a workbook in bytes: a sheet is read into memory as a whole."""
_BLOCK: Final = 1 << 20
_LOCAL_HEADER: Final = 30
_HEADER_SAMPLE: Final = 1000
"""Number of rows in which the header is searched."""
_TOO_SPARSE: Final = (
    "the workbook takes too much memory: the cells of its sheet are very many, or far apart. Save "
    "the sheet as CSV, which may be of any size"
)
_Row: TypeAlias = tuple[int, list[Any]]


def sheet_rows(path: Path, sheet: str = "", after: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number in the sheet, column -> value) of each row after a number.

    Raises `Unreadable`. Dates are ISO 8601 text, numbers `int` or `Decimal`; empty cells are
    omitted.
    """
    with sheet_table(path, sheet) as (_, rows):
        yield from (each for each in rows if each[0] > after)


def sheet_columns(path: Path, sheet: str = "") -> list[str]:
    """Return the column names of a sheet; raises `Unreadable`."""
    with sheet_table(path, sheet) as (names, _):
        return names


def sheet_names(path: Path) -> list[str]:
    """Return the names of a workbook's sheets; raises `Unreadable`."""
    with closing(_run_reader(path, "")) as read:
        first = next(read, None)
        if isinstance(first, str):
            raise Unreadable(first)
        return cast(dict[str, list[str]], first)["sheets"]


@contextmanager
def sheet_table(
    path: Path, sheet: str = ""
) -> Iterator[tuple[list[str], Iterator[tuple[int, dict[str, Any]]]]]:
    """Yield the column names of a sheet and its rows, which are read once; raises `Unreadable`."""
    with _opened(path, sheet) as (names, rows):
        yield names, ((number, _named(names, row)) for number, row in rows)


@contextmanager
def _opened(path: Path, sheet: str) -> Iterator[tuple[list[str], Iterator[_Row]]]:
    """Yield the column names of a sheet, and the rows below them that are not empty."""
    with closing(_read_sheet(path, sheet)) as rows:
        first = list(islice(rows, _HEADER_SAMPLE))
        if not first:
            raise Unreadable("its sheet is empty")
        at = find_header_row([[_text(cell) for cell in row] for _, row in first])
        names = column_names([_text(cell) for cell in first[at][1]])
        yield names, chain(first[at + 1 :], rows)


def _read_sheet(path: Path, sheet: str) -> Generator[_Row]:
    """Yield (row number in the sheet, cells) of each row that is not empty."""
    with closing(_run_reader(path, sheet)) as read:
        for each in read:
            if isinstance(each, str):
                raise Unreadable(each)
            if isinstance(each, list):
                yield each[0], each[1]


def _run_reader(path: Path, sheet: str) -> Generator[Any]:
    """Yield what `sheet_process` prints; raises `Unreadable`."""
    _check_size(path)
    command = [sys.executable, "-m", sheet_process.__name__, str(path), sheet, str(os.getpid())]
    ours = ("INNKEEPER_", "PG")
    passed = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with stop_signals_held():
        started = subprocess.Popen(  # noqa: S603 - our own module, and a path
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=passed,
        )
    with started as process:
        try:
            for line in cast(IO[bytes], process.stdout):
                yield json.loads(line, parse_float=Decimal)
            code = process.wait()
        finally:
            process.kill()
    if code:
        raise Unreadable(_TOO_SPARSE if code < 0 else "the workbook is damaged")


def _check_size(path: Path) -> None:
    """Raise `Unreadable` for a workbook that is too large for memory, whatever sizes it
    declares."""
    left = LARGEST_CONTENT - path.stat().st_size
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
                for member in archive.infolist():
                    left -= _content_size(raw, member, left)
        except (zipfile.BadZipFile, zlib.error, OSError) as error:
            raise Unreadable("the workbook is damaged: it was cut off") from error
    if left < 0:
        raise Unreadable(
            f"the workbook has more than {LARGEST_CONTENT >> 20} MB of content. Save the sheet as "
            "CSV, which may be of any size"
        )


def _content_size(raw: Any, member: zipfile.ZipInfo, most: int) -> int:
    """Return the decompressed size of a member, or more than `most` when it is larger."""
    raw.seek(member.header_offset)
    header = raw.read(_LOCAL_HEADER)
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    raw.seek(lengths, 1)
    if member.compress_type != zipfile.ZIP_DEFLATED:
        return member.compress_size
    inflater, size, left = zlib.decompressobj(-15), 0, member.compress_size
    while left > 0 and size <= most and not inflater.eof:
        piece = raw.read(min(_BLOCK, left))
        if not piece:
            raise zipfile.BadZipFile
        left -= len(piece)
        while piece and size <= most:
            size += len(inflater.decompress(piece, _BLOCK))
            piece = inflater.unconsumed_tail
    return size


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _named(names: list[str], row: list[Any]) -> dict[str, Any]:
    named = {name: cell for name, cell in zip(names, row, strict=False) if is_filled(cell)}
    extra = [at for at, cell in enumerate(row[len(names) :], len(names) + 1) if is_filled(cell)]
    return named | ({EXTRA: extra} if extra else {})
