"""Detect the dialect of a delimited text: delimiter, quoting, and the line of its header.

DuckDB's `sniff_csv` takes short rows as a sign of another delimiter, does not skip title lines that
contain delimiters, and does not notice an unclosed quote. So rows are compared here instead.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from innkeeper.store.readers import MAX_LINE, Unreadable

DELIMITERS: Final = ",;\t|"
_SAMPLE_ROWS: Final = 1000
_HEADER_ROWS: Final = 50
"""Number of rows at the start among which the header must be."""
_SEPARATOR_LINE: Final = re.compile(r"sep=(.)[\r\n]*", re.I)


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """The dialect of a delimited text."""

    delimiter: str = ","
    header_line: int = 1
    """The line, from 1, that names the columns."""
    skips_spaces: bool = False
    """Whether spaces after a delimiter are ignored."""
    has_escapes: bool = False
    r"""Whether a quote inside a quoted cell is written `\"`, not `""`."""
    has_separator_line: bool = False
    """Whether the first line is `sep=;`, which is no line above the header."""

    def note(self) -> str:
        """A sentence for the person who imports the file; may be empty."""
        above = self.header_line - 1
        if above == self.has_separator_line:
            return ""
        lines = "Line 1 stands" if above == 1 else f"Lines 1 to {above} stand"
        return (
            f"{lines} above the header and is skipped."
            if above == 1
            else (f"{lines} above the header and are skipped.")
        )


def find_dialect(lines: Sequence[str], delimiter: str = "", header_line: int = 0) -> CsvDialect:
    """Detect the dialect of a text from its first lines; settings that are given are not detected.

    Raises `Unreadable` if there is no header.
    """
    first = 0
    separator = _SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    if separator:
        delimiter, first = delimiter or separator[1], 1
    if header_line:
        first = header_line - 1
    delimiter = delimiter or _find_delimiter(lines[first:])
    rows = _rows(lines[first:], delimiter)
    if not rows:
        raise Unreadable("it is empty")
    position, header = rows[0 if header_line else find_header_row([row for _, row in rows])]
    at = first + position
    if any(map(_is_address, header)):
        raise Unreadable(
            f"line {at + 1}: contains values, not column names. Add a first line with the names "
            f"of the columns"
        )
    return CsvDialect(
        delimiter,
        at + 1,
        skips_spaces=_skips_spaces(lines[at], [row for _, row in rows], delimiter),
        has_escapes=_has_escapes(lines[at:], delimiter),
        has_separator_line=separator is not None,
    )


def _is_address(cell: str) -> bool:
    """Whether a cell is an e-mail address, and therefore no column name."""
    name, _, domain = cell.strip().partition("@")
    return bool(name) and "." in domain and not any(map(str.isspace, name + domain))


def _rows(lines: Sequence[str], delimiter: str) -> list[tuple[int, list[str]]]:
    """Return (position of its first line, cells) of the rows that are not blank."""
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader(lines, delimiter=delimiter)
    rows, start = [], 0
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((start, row))
            start = reader.line_num
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # The reader of the whole file names the line.
    return rows


def _find_delimiter(lines: Sequence[str]) -> str:
    def score(delimiter: str) -> tuple[float, int]:
        """The share of rows that have the usual number of cells, and that number."""
        counts = [len(row) for _, row in _rows(lines, delimiter)]
        usual = _usual(counts)
        return (counts.count(usual) / len(counts), usual) if usual > 1 else (0.0, 1)

    return max(DELIMITERS, key=score)


def _usual(counts: Sequence[int]) -> int:
    """Return the most frequent number of cells above one, the first of several; else one."""
    several = Counter(count for count in counts if count > 1)
    return several.most_common(1)[0][0] if several else 1


def find_header_row(rows: Sequence[Sequence[str]]) -> int:
    """Return the position of the first row with at least half of the usual number of cells, or of
    the row below it that names more columns. Titles above a header have fewer cells."""
    usual = _usual([len(row) for row in rows])
    least = max(2, -(-usual // 2)) if usual > 1 else 1
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows[:_HEADER_ROWS]]
    first = next((at for at, many in enumerate(filled) if many >= least), 0)
    is_above = filled[first : first + 1] < [usual] and filled[first + 1 : first + 2] == [usual]
    return first + 1 if is_above and _names_columns(rows[first + 1], rows[first + 2 :]) else first


def _names_columns(row: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a row has names of columns: words alone, above a column that has none."""
    if any(map(_has_value, row)) or len({*row}) < len(row):
        return False
    columns = ([each[at] for each in below if each[at : at + 1]] for at in range(len(row)))
    return any(cells and all(map(_has_value, cells)) for cells in columns)


def _has_value(cell: str) -> bool:
    """Whether a cell is a number, a date or an address, which have digits or an @."""
    return "@" in cell or any(map(str.isdigit, cell))


def _skips_spaces(header: str, rows: Sequence[Sequence[str]], delimiter: str) -> bool:
    many = header.count(delimiter)
    if delimiter == "\t" or not many or header.count(delimiter + " ") != many:
        return False
    return all(cell[:1] in ("", " ") for row in rows for cell in row[1:])


def _has_escapes(lines: Sequence[str], delimiter: str) -> bool:
    if not any('\\"' in line for line in lines):
        return False
    complete = [*lines[:_SAMPLE_ROWS]]
    return not _is_strict(complete, delimiter, False) and _is_strict(complete, delimiter, True)


def _is_strict(lines: Sequence[str], delimiter: str, escapes: bool) -> bool:
    try:
        for _ in csv.reader(lines, strict=True, **csv_options(delimiter, escapes)):
            pass
    except csv.Error as error:
        # The sample may end inside of a cell.
        return "unexpected end" in str(error)
    return True


def csv_options(delimiter: str, has_escapes: bool) -> dict[str, Any]:
    """Return a dialect as `csv.reader` takes it."""
    quoting: dict[str, Any] = {"escapechar": "\\", "doublequote": False} if has_escapes else {}
    return {"delimiter": delimiter, **quoting}
