"""Rows out of CSV files, in constant memory."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

from innkeeper.store.csv_dialect import CsvDialect, csv_options
from innkeeper.store.file_form import FileForm, RawStream
from innkeeper.store.readers import MAX_LINE, Unreadable, readable

_QUOTES: Final = re.compile('""?')
MOST_COLUMNS: Final = 16_384
"""Maximum number of columns of a table: that of a spreadsheet."""
EXTRA: Final = ""
"""Member of a row that lists cells without a column, by position from 1."""


def csv_rows(
    stream: IO[bytes], form: FileForm, after: int = 0
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line of its start, column -> text) of each row after a line; raises `Unreadable`.

    The header names the columns. Cells that a row lacks are absent.
    """
    names, rows = csv_table(stream, form)
    for number, row in rows:
        if number > after and row:
            yield number, _named(names, row)


def csv_table(
    stream: IO[bytes], form: FileForm
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the names of the columns, and (line, cells) of each row; raises `Unreadable`."""
    csv.field_size_limit(MAX_LINE)
    buffered = io.BufferedReader(RawStream(stream), 1 << 20)
    text = io.TextIOWrapper(buffered, encoding=form.encoding, newline="")
    rows = _csv_cells(text, form.dialect)
    with readable():
        header = next(rows, (0, []))[1]
    return column_names(header), rows


def column_names(header: Iterable[Any]) -> list[str]:
    """Return a name for each column; equal names and missing names are numbered."""
    names: list[str] = []
    cells = [str(cell or "").strip().lstrip("\ufeff") for cell in header]
    while cells and not cells[-1]:
        cells.pop()
    if len(cells) > MOST_COLUMNS:
        raise Unreadable(f"it has more than {MOST_COLUMNS:,} columns")
    in_header, used, next_numbers = set(cells), set[str](), dict[str, int]()
    for position, cell in enumerate(cells, 1):
        name = cell or f"Column {position}"
        if name in used:
            stem = cell or "Column"
            number = next_numbers.get(stem, 2)
            while (name := f"{stem} {number}") in used or name in in_header:
                number += 1
            next_numbers[stem] = number + 1
        used.add(name)
        names.append(name)
    return names


def _csv_cells(text: io.TextIOWrapper, dialect: CsvDialect) -> Iterator[tuple[int, list[str]]]:
    """Yield (line of its start, cells) of each row, the header first; raises `Unreadable`."""
    lines = _RowLines(text)
    options = csv_options(dialect.delimiter, dialect.has_escapes)
    rows = csv.reader(lines, strict=True, skipinitialspace=dialect.skips_spaces, **options)
    with readable():
        for _ in range(dialect.header_line - 1):
            text.readline(MAX_LINE)
            lines.number += 1
        start = lines.number + 1
        try:
            for row in rows:
                yield start, row
                start = lines.end_row()
        except csv.Error as error:
            raise Unreadable(lines.fault(str(error))) from error
        except UnicodeError as error:
            raise Unreadable(f"line {lines.number + 1}: is not valid {text.encoding}") from error


class _RowLines:
    """The lines of a text, with the lines of the row that is being read."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.number = 0
        self._row: list[str] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        self._row.append(line)
        self._size += len(line)
        if self._size > MAX_LINE:
            raise Unreadable(self.fault("unexpected end"))
        return line

    def end_row(self) -> int:
        """Discard the lines of a row that was read; return the line of the next row."""
        self._row.clear()
        self._size = 0
        return self.number + 1

    def fault(self, reason: str) -> str:
        """Return a sentence, without its full stop, about a row that cannot be read."""
        first = self.number - len(self._row) + 1
        if "unexpected end" in reason or "field limit" in reason:
            opened, is_open = first, False
            for number, line in enumerate(self._row, first):
                for quote in _QUOTES.findall(line):
                    # Two quotes inside a quoted cell are one; outside they are an empty cell.
                    if len(quote) == 1:
                        is_open = not is_open
                        opened = number if is_open else opened
            return (
                f"line {opened}: a quote opens a cell and is never closed. Remove it, or write "
                'each quote inside a cell twice ("")'
            )
        if "expected after" in reason:
            return (
                f"line {first}: a cell goes on after its closing quote. Write each quote inside a "
                'cell twice ("")'
            )
        return f"line {first}: {reason}"


def _named(names: list[str], row: list[str]) -> dict[str, Any]:
    named: dict[str, Any] = dict(zip(names, row, strict=False))
    if len(row) > len(names):
        extra = [at for at, cell in enumerate(row[len(names) :], len(names) + 1) if cell.strip()]
        if extra:
            named[EXTRA] = extra
    return named
