"""Survey all rows of a table for date formats, decimal marks and spreadsheet guards."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from innkeeper.resources.kinds import Count, Day, Instant, Number
from innkeeper.rules.date_formats import ISO, SHARED_ZONES, DateColumn, read_date
from innkeeper.rules.number_formats import NumberColumn
from innkeeper.store.tables import MOST_COLUMNS
from innkeeper.wire.bulk.cells import PERCENT, SPACES, CellRules, is_guarded, zone_names

_TRIED: Final = 200
"""Cells after which a column without dates, or without numbers, is no longer examined."""
_ENOUGH: Final = 2000
"""Cells after which the search for a format ends, if a cell has proved one."""
MOST_QUESTIONS: Final = 20
MOST_SUMMARIES: Final = 200
"""Columns whose survey is stored with an upload."""
BLANKS: Final = frozenset(
    (
        *("null", "n/a", "-", "--", "(null)", "(blank)", "#n/a", "\\n"),
        # Dates of Outlook and MySQL that are none.
        *("0/0/00", "00/00/0000", "00.00.0000", "0000-00-00", "0000-00-00 00:00:00"),
    )
)
_LONGEST_BLANK: Final = max(map(len, BLANKS))


@dataclass(slots=True)
class ColumnSurvey:
    """The findings about all cells of one column."""

    dates: DateColumn | None = field(default_factory=DateColumn)
    """None if the column does not contain dates."""
    numbers: NumberColumn | None = field(default_factory=NumberColumn)
    cells: int = 0
    guarded: int = 0
    """Cells with a spreadsheet's guard."""
    guard: str = ""
    """An example of these cells."""
    padded: int = 0
    """Cells with spaces around their content."""
    blanks: set[str] = field(default_factory=set)
    """Cells with words that mean empty, such as NULL and N/A."""
    is_decided: bool = False

    def add(self, text: str) -> None:
        self.cells += 1
        if text[0] in SPACES or text[-1] in SPACES:
            self.padded += 1
            text = text.strip(SPACES)
            if not text:
                return
        if len(text) <= _LONGEST_BLANK and text.lower() in BLANKS:
            self.blanks.add(text)
            return
        if text[0] in "'=" and is_guarded(text):
            self.guarded += 1
            self.guard = self.guard or text
        if self.dates is not None and not self.is_decided:
            self.dates.add(text)
            if self.cells in (_TRIED, _ENOUGH):
                formats = self.dates.formats()
                self.dates = self.dates if formats else None
                self.is_decided = self.cells == _ENOUGH and len(formats) == 1
        if self.numbers is not None:
            self.numbers.add(text)
            if self.cells == _TRIED and not self.numbers.marks:
                self.numbers = None

    def formats(self) -> list[str]:
        """Return the formats that its dates may have."""
        return self.dates.formats() if self.dates is not None else []

    def open_zone(self, timezone: str) -> str:
        """Return an abbreviation in its times that several time zones share, unless it is one of
        the file's zone."""
        zones = self.dates.zones if self.dates is not None else ()
        return next((zone for zone in zones if zone not in zone_names(timezone)), "")

    @property
    def two_numbers(self) -> str:
        """Return a cell that can be read as two numbers."""
        return self.numbers.example if self.numbers is not None else ""

    def date_examples(self, formats: Sequence[str]) -> dict[str, str]:
        """Return one cell as it reads in each of its formats: `03/04/1980 is 1980-04-03`."""
        cell = self.dates.examples.get(formats[0], "") if self.dates is not None else ""
        return {form: f"{cell} is {read_date(form, cell).date()}" for form in formats if cell}

    def marks(self) -> Counter[str]:
        return self.numbers.marks if self.numbers is not None else Counter()

    def summary(self) -> dict[str, Any]:
        """Return the findings that decide formats, as JSON; the only cells it quotes are words that
        mean empty."""
        dates = self.dates if self.dates is not None and self.dates.formats() else None
        parts = {
            "dates": dict(dates.votes) if dates else {},
            "proofs": dict(dates.proofs) if dates else {},
            "cells": dates.cells if dates else 0,
            "zones": sorted(dates.zones) if dates else [],
            "marks": dict(self.marks()),
            "guarded": self.guarded,
            "padded": self.padded,
            "blanks": sorted(self.blanks),
        }
        return {name: part for name, part in parts.items() if part}

    @classmethod
    def of_summary(cls, summary: Mapping[str, Any], texts: Iterable[str]) -> "ColumnSurvey":
        """Return the survey of a summary, with examples from some cells."""
        dates = DateColumn(
            Counter(summary.get("dates", {})),
            Counter(summary.get("proofs", {})),
            summary.get("cells", 0),
            zones=[*summary.get("zones", ())],
        )
        numbers = NumberColumn(Counter(summary.get("marks", {})))
        survey = cls(dates, numbers, guarded=summary.get("guarded", 0))
        survey.padded = summary.get("padded", 0)
        survey.blanks = {*summary.get("blanks", ())}
        for text in texts:
            dates.add_example(text)
            numbers.add_example(text)
            if not survey.guard and is_guarded(text):
                survey.guard = text
        return survey


@dataclass(slots=True)
class TableSurvey:
    """The findings about all rows of a table."""

    columns: dict[str, ColumnSurvey] = field(default_factory=dict)
    rows: int = 0
    names: list[str] = field(default_factory=list)
    """Names of its columns, as its header has them."""
    is_partial: bool = False
    """Whether there are rows that were not examined."""

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> "TableSurvey":
        """Return the survey of some rows."""
        survey = cls()
        for row in rows:
            survey.add(row)
        return survey

    def add(self, row: Mapping[str, Any]) -> None:
        self.rows += 1
        for column, cell in row.items():
            if isinstance(cell, str) and cell and column:
                survey = self.columns.get(column)
                if survey is None:
                    if len(self.columns) == MOST_COLUMNS:
                        # A document of JSON may have new names in every value.
                        continue
                    survey = self.columns[column] = ColumnSurvey()
                survey.add(cell)

    def summary(self) -> dict[str, Any]:
        """Return the findings of its first columns that decide formats, as JSON."""
        columns = islice(self.columns.items(), MOST_SUMMARIES)
        summaries = {name: column.summary() for name, column in columns}
        return {"rows": self.rows, "columns": {name: one for name, one in summaries.items() if one}}

    @classmethod
    def of_summary(
        cls, summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
    ) -> "TableSurvey":
        """Return the survey of a summary, with examples from some rows.

        Columns after the first ones have the findings of those rows.
        """
        survey = cls.of(rows)
        surveyed: Mapping[str, Any] = summary.get("columns", {})
        for number, name in enumerate([*survey.columns]):
            if number < MOST_SUMMARIES or name in surveyed:
                texts = (row[name] for row in rows if isinstance(row.get(name), str) and row[name])
                survey.columns[name] = ColumnSurvey.of_summary(surveyed.get(name, {}), texts)
        survey.rows = summary.get("rows", survey.rows)
        return survey

    def decimal_marks(self, columns: list[str], delimiter: str) -> tuple[dict[str, str], list[str]]:
        """Return the decimal mark of each of some columns of numbers, and those that show none.

        A column's own cells decide, else those of the other columns. If none decide, `1,234` stays
        open, and `1.234` in a file with semicolons.
        """
        marks, open_columns = dict[str, str](), list[str]()
        of_file = Counter[str]()
        for column in columns:
            own = self._own(column)
            of_file.update(dict.fromkeys(own, 1))
            if len(own) == 1:
                marks[column] = own[0]
        for column in columns:
            if column in marks or not self._count(column, "?"):
                continue
            if len(of_file) == 1:
                marks[column] = next(iter(of_file))
            elif "," in self.columns[column].two_numbers or delimiter == ";":
                open_columns.append(column)
            else:
                marks[column] = "."
        return marks, open_columns

    def _own(self, column: str) -> list[str]:
        return [mark for mark in ".," if self._count(column, mark)]

    def _count(self, column: str, mark: str) -> int:
        return self.columns[column].marks()[mark] if column in self.columns else 0


def date_question(column: str, formats: list[str]) -> str:
    """Return the question of the date format: why it matters, and the setting that answers it."""
    choices = " or ".join(f'"{column}" = "{form}"' for form in formats)
    return (
        f"Column {column}: nothing in the file shows whether 03/04 is 3 April or 4 March. Add "
        f"{choices} to [formats] of the mapping."
    )


def number_question(column: str) -> str:
    """Return the question of the decimal mark: why it matters, and the setting that answers it."""
    return (
        f"Column {column}: nothing in the file shows whether 1,234 is 1234 or 1.234. Add "
        'decimal = "." or decimal = "," above the sections of the mapping.'
    )


def zone_question(column: str, zone: str) -> str:
    """Return the question of the time zone: why it matters, and the setting that answers it."""
    return (
        f"Column {column}: {zone} is the time of several zones. Add the zone of the file above the "
        f'sections of the mapping, such as timezone = "{SHARED_ZONES[zone]}".'
    )


def resolve(
    survey: TableSurvey,
    kinds: Mapping[str, Any],
    formats: Mapping[str, str],
    delimiter: str,
    rules: CellRules,
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Return the date formats and decimal marks of columns of these kinds, and open questions."""
    questions, decided, numbers = list[str](), dict(formats), list[str]()
    for column, kind in kinds.items():
        if isinstance(kind, Number | Count) or kind in ("number", PERCENT):
            numbers.append(column)
        if not isinstance(kind, Instant | Day) or column not in survey.columns:
            continue
        if isinstance(kind, Instant) and (zone := survey.columns[column].open_zone(rules.timezone)):
            questions.append(zone_question(column, zone))
        if column in formats:
            continue
        possible = survey.columns[column].formats()
        if len(possible) > 1:
            questions.append(date_question(column, possible))
        elif possible and possible[0] != ISO:
            decided[column] = possible[0]
    marks, unknown = survey.decimal_marks(numbers, delimiter)
    if not rules.decimal:
        questions += map(number_question, unknown)
    return decided, marks, list(islice(questions, MOST_QUESTIONS))


def guard_notes(
    survey: TableSurvey, mapped: Mapping[str, Any], guards: frozenset[str]
) -> list[str]:
    """Return a note on the columns with a spreadsheet's guard in their values."""
    columns = [
        column
        for column, one in survey.columns.items()
        if one.guarded and column in mapped and column not in guards
    ]
    if not columns:
        return []
    listed = ", ".join(f'"{column}"' for column in columns[:MOST_QUESTIONS])
    return [
        f"Cells of {listed} start with a spreadsheet's guard (' or =\"), which is imported with "
        f"them. To take it off, add guards = [{listed}] to the mapping."
    ]
