"""Refused records of a table: the rows of the file with the reason, and counts by reason."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, TextIO

from innkeeper.rules.spreadsheets import guarded
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.mapping import ColumnMapping
from innkeeper.wire.bulk.order_rows import NumberedRow, order_runs
from innkeeper.wire.bulk.targets import REASON

MOST_REASONS: Final = 100
OTHER_REASONS: Final = "other reasons"
"""The name of all reasons past `MOST_REASONS`."""
_NUMBERS: Final = re.compile(r"\[[0-9]+\]|\b(lines?) [0-9]+( and [0-9]+)?")

Refusal = tuple[int, Sequence[str]]
"""Line of a refused record, and why."""


@dataclass(slots=True)
class ReasonCounts:
    """The number of records by reason of refusal, with the first of each."""

    counts: Counter[str] = field(default_factory=Counter)
    lines: dict[str, int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    """Reason -> the invalid cell of its first record, if one cell is the cause."""

    def add(self, refusal: Refusal, row: Mapping[str, Any], mapping: ColumnMapping | None) -> None:
        """Count the reasons of one record; `row` is its row, or empty."""
        line, reasons = refusal
        for reason in reasons:
            name = _NUMBERS.sub(_without_number, reason)
            if name not in self.counts and len(self.counts) >= MOST_REASONS:
                name = OTHER_REASONS
            self.counts[name] += 1
            if name not in self.lines:
                self.lines[name] = line
                value = _cell_of(reason, row, mapping)
                if value is not None:
                    self.values[name] = value

    def listed(self) -> list[dict[str, Any]]:
        """Return reason, count, line and value of each reason, the most frequent first."""
        return [
            {
                "reason": reason,
                "count": count,
                "line": self.lines[reason],
                **({"value": self.values[reason]} if reason in self.values else {}),
            }
            for reason, count in self.counts.most_common()
        ]


def _without_number(match: re.Match[str]) -> str:
    return f"{match[1]} …" if match[1] else ""


def _cell_of(reason: str, row: Mapping[str, Any], mapping: ColumnMapping | None) -> str | None:
    """Return the cell that a reason refers to; the reason begins with the column or its field."""
    name = reason.partition(":")[0]
    if name in row:
        return str(row[name])
    target = re.sub(r"\[[0-9]+\]", "", name)
    for column, targets in (mapping.columns if mapping else {}).items():
        if target in targets and row.get(column) not in (None, ""):
            return str(row[column])
    return None


class RejectedRows:
    """Reads the refused rows of a table; an order may have several rows."""

    def __init__(self, layout: Layout, source: IO[bytes] | Path) -> None:
        group = layout.mapping.group if layout.mapping else ""
        rows = layout.rows(source)
        self._runs: Iterator[Sequence[NumberedRow]] = (
            (run for _, run in order_runs(rows, group)) if group else ([row] for row in rows)
        )

    def take(
        self, refusals: Sequence[Refusal]
    ) -> Iterator[tuple[Refusal, list[Mapping[str, Any]]]]:
        """Yield the next refusals, which are in the order of lines, each with its rows."""
        position = 0
        while position < len(refusals):
            run = next(self._runs, None)
            if run is None:
                break
            while position < len(refusals) and refusals[position][0] < run[0][0]:
                position += 1
            if position < len(refusals) and refusals[position][0] == run[0][0]:
                yield refusals[position], [row for _, row in run]
                position += 1


class RejectedRowsWriter:
    """Writes the refused rows of a table as CSV: its columns, and the reason."""

    def __init__(
        self, layout: Layout, columns: Sequence[str], source: IO[bytes] | Path, out: TextIO
    ) -> None:
        self.counts = ReasonCounts()
        self._mapping = layout.mapping
        self._rows = RejectedRows(layout, source)
        self._columns = [name for name in columns if name not in ("", REASON)]
        self._writer = csv.writer(out)
        self._guard: Callable[[Any], Any] = lambda cell: cell

    def write_header(self, *, is_guarded: bool = False) -> None:
        """Write the names of the columns. `is_guarded` marks cells that a spreadsheet would run."""
        if is_guarded:
            self._guard = guarded
        self._write([*self._columns, REASON])

    def write(self, refusals: Sequence[Refusal]) -> None:
        """Write the rows of the next refusals, which are in the order of lines."""
        for refusal, rows in self._rows.take(refusals):
            self.counts.add(refusal, rows[0], self._mapping)
            for row in rows:
                cells = (row.get(column, "") for column in self._columns)
                self._write([*cells, "; ".join(refusal[1])])

    def _write(self, cells: Sequence[Any]) -> None:
        self._writer.writerow([self._guard(cell) for cell in cells])
