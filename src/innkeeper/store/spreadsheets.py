"""Rows out of Excel and OpenDocument workbooks (xlsx, xlsm, xlsb, xls, ods)."""

import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

from innkeeper.store.csv_dialect import find_header_row
from innkeeper.store.readers import Unreadable
from innkeeper.store.tables import EXTRA, column_names

LARGEST_CONTENT: Final = 256 << 20
"""Most bytes of a workbook, decompressed: a sheet is read into memory as a whole."""
_BLOCK: Final = 1 << 20
_LOCAL_HEADER: Final = 30
_EXACT: Final = 10**15


def sheet_rows(path: Path, sheet: str = "", after: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row as the sheet numbers it, column -> value) of each row past a number.

    Raises `Unreadable`. Dates are ISO 8601 text, whole numbers `int`; empty cells are left out.
    """
    start, cells = _read_sheet(path, sheet)
    rows = [(number, row) for number, row in enumerate(cells, start + 1) if any(map(_filled, row))]
    if not rows:
        raise Unreadable("its sheet is empty")
    at = find_header_row([[_text(cell) for cell in row] for _, row in islice(rows, 1000)])
    names = column_names([_text(cell) for cell in rows[at][1]])
    for number, row in rows[at + 1 :]:
        if number > after:
            yield number, _named(names, row)


def sheet_columns(path: Path, sheet: str = "") -> list[str]:
    """Return the column names of a sheet; raises `Unreadable`."""
    _, cells = _read_sheet(path, sheet)
    rows = [[_text(cell) for cell in row] for row in cells[:1000] if any(map(_filled, row))]
    if not rows:
        raise Unreadable("its sheet is empty")
    return column_names(rows[find_header_row(rows)])


def _read_sheet(path: Path, sheet: str) -> tuple[int, list[list[Any]]]:
    """Return the number of rows above the first that has a cell, and the rows from it."""
    from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415 - few need it

    _check_size(path)
    try:
        with CalamineWorkbook.from_path(str(path)) as workbook:
            names = workbook.sheet_names
            if not names:
                raise Unreadable("it has no sheets")
            if sheet and sheet not in names:
                raise Unreadable(f"it has no sheet {sheet}. Its sheets are {', '.join(names[:20])}")
            read = workbook.get_sheet_by_name(sheet or names[0])
            return (read.start or (0, 0))[0], read.to_python(skip_empty_area=True)
    except CalamineError as error:
        if "password" in str(error).lower():
            raise Unreadable("it is protected by a password. Save it without one") from error
        raise Unreadable(f"the workbook is damaged ({error})") from error


def _check_size(path: Path) -> None:
    """Raise `Unreadable` for a workbook that would fill the memory, whatever it declares."""
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


def _filled(cell: Any) -> bool:
    return cell is not None and cell != "" and not (isinstance(cell, str) and not cell.strip())


def _text(cell: Any) -> str:
    return "" if cell is None else str(_value(cell))


def _value(cell: Any) -> Any:
    """Return a cell as JSON has it."""
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and abs(cell) < _EXACT else cell
    if isinstance(cell, datetime):
        return cell.isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return cell


def _named(names: list[str], row: list[Any]) -> dict[str, Any]:
    named = {name: _value(cell) for name, cell in zip(names, row, strict=False) if _filled(cell)}
    extra = [at for at, cell in enumerate(row[len(names) :], len(names) + 1) if _filled(cell)]
    return named | ({EXTRA: extra} if extra else {})
