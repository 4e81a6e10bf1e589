"""Read the file of a batch or import as records."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from innkeeper.errors import OperatorError
from innkeeper.rules import batch as rules
from innkeeper.rules.batch import CHUNK, BatchRecord, RecordRejected
from innkeeper.rules.spreadsheets import unguarded
from innkeeper.store.file_form import (
    Choices,
    FileForm,
    as_utf8,
    form_of_file,
    form_of_stream,
)
from innkeeper.store.json_values import json_values
from innkeeper.store.parquet_rows import parquet_columns, parquet_rows
from innkeeper.store.readers import (
    Chunk,
    Unreadable,
    check_gzip,
    check_length,
    chunks,
    expanded,
    lines,
    unzipped,
)
from innkeeper.store.spreadsheets import sheet_columns, sheet_rows, sheet_table
from innkeeper.store.tables import EXTRA, csv_rows, csv_table
from innkeeper.wire.bulk import batch_records
from innkeeper.wire.bulk.file_formats import PACKED, TABLES, WHOLE_FILE, LookLimit
from innkeeper.wire.bulk.high_water import HighWaterMark
from innkeeper.wire.bulk.mapping import ColumnMapping, by_name, mapping_of
from innkeeper.wire.bulk.order_rows import NumberedRow, OrderRows, order_rows
from innkeeper.wire.bulk.plain_records import PLAIN_READERS
from innkeeper.wire.bulk.row_records import READERS, order_record, row_record
from innkeeper.wire.bulk.row_values import RowValues
from innkeeper.wire.bulk.survey import TableSurvey, guard_notes, resolve

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a file of records."""

    entity: str
    format: str = "ndjson"
    compressed: bool = True
    """The format that the caller names; decisive only for a batch (batch-api.md 4 and 6)."""
    mapping: ColumnMapping | None = None
    tracking: bool = False
    """Whether a batch may contain records of the schema `tracking`."""
    form: FileForm | None = None
    """The detected form of the file; None until `prepared`."""
    mark: HighWaterMark | None = None
    """Only rows past it are read."""

    @classmethod
    def of(cls, batch: Mapping[str, Any], *, tracking: bool) -> "Layout":
        """Return the layout that is stored with a batch or import."""
        file_options, entity = batch["file_options"], batch["entity"]
        if entity == "batch":
            return cls(entity, tracking=tracking)
        columns = file_options.get("mapping")
        mapping = None if columns is None else mapping_of(entity, columns)
        stored = file_options.get("mark")
        mark = stored and HighWaterMark(stored["column"], stored["after"], stored["inclusive"])
        options = (file_options["format"], file_options["compressed"])
        return cls(entity, *options, mapping, mark=mark)

    def file_options(self) -> dict[str, Any]:
        """Return the layout in the form that is stored with an import."""
        return {
            "format": self.format,
            "compressed": self.compressed,
            "mapping": None if self.mapping is None else self.mapping.plain(),
        }

    def prepared(self, path: Path, most: int = 0) -> "Layout":
        """Read a file to its end; return the layout of its records.

        Nothing of a file that cannot be read to its end is imported. Raises `Unreadable`, also
        past `most` bytes of content, and OperatorError for what only a person can decide.
        """
        if self.entity == "batch":
            with path.open("rb") as stream:
                check_gzip(stream, most)
            return self
        layout, survey = self.surveyed(path, most)
        return layout.resolved(survey)

    def surveyed(
        self, path: Path, most: int = 0, limit: LookLimit = WHOLE_FILE
    ) -> tuple["Layout", TableSurvey]:
        """Read a file to its end, or up to a `limit`; return its form and the survey of its rows.

        Raises `Unreadable`, also past `most` bytes of content. Lines of JSON are not looked at.
        """
        form = form_of_file(path, self.choices(), most, limit.size)
        layout, survey = replace(self, form=form), TableSurvey()
        if form.format == "ndjson":
            return layout, survey
        size = 0
        with layout.table(path, most) as (survey.names, rows):
            for _, row in rows:
                size += sum(len(cell) + 1 for cell in row.values() if isinstance(cell, str))
                survey.is_partial = (0 < limit.rows <= survey.rows) or (0 < limit.size < size)
                if survey.is_partial:
                    break
                survey.add(row)
        if survey.is_partial:
            note = (
                f"The first {survey.rows:,} rows were looked at. An import reads the whole file "
                "before its first record is written."
            )
            layout = replace(layout, form=replace(form, notes=(*form.notes, note)))
        if not survey.rows:
            raise Unreadable("it has column names but no rows. Export it again, with records")
        return layout, survey

    @contextmanager
    def table(
        self, path: Path, most: int = 0
    ) -> Iterator[tuple[list[str], Iterator[tuple[int, Row]]]]:
        """Yield the names of a table's columns and its rows; a workbook is read once for both.

        A JSON document has values, and no names. Raises `Unreadable`, for a Parquet file also past
        `most` bytes of JSON, since nothing of it was read before.
        """
        if self._format == "spreadsheet":
            with sheet_table(path, self._sheet) as table:
                yield table
            return
        columns = self.column_names(path)
        with self.opened(path) as source:
            if self._format == "json":
                yield columns, enumerate(self.values(_stream(source)), 1)
            else:
                yield columns, self._bounded_rows(source, most)

    def _bounded_rows(self, source: IO[bytes] | Path, most: int) -> Iterator[tuple[int, Row]]:
        """Yield the rows of a table; raises `Unreadable` past `most` bytes of JSON."""
        size = 0
        for number, row in self._rows(source):
            if isinstance(row, bytes):
                size += len(row)
                check_length(size, most)
            yield number, batch_records.json_value(row) if isinstance(row, bytes) else row

    def _mapping_of(self, columns: list[str]) -> ColumnMapping:
        """Return the layout's own mapping, else the one of columns named like fields."""
        own = self.mapping
        if own is not None and (own.columns or own.constants):
            return own
        named = by_name(self.entity, columns)
        return replace(own, columns=named.columns, types=named.types) if own else named

    def resolved(self, survey: TableSurvey) -> "Layout":
        """Return the layout with the findings of the survey; raises OperatorError for what only a
        person can decide, and for columns that nothing maps."""
        form = self.form or FileForm()
        if not self.entity:
            return self
        if form.format in TABLES:
            mapping = self._mapping_of(survey.names)
        elif self.mapping is None:
            return self
        else:
            mapping = self.mapping
        formats, decimals, questions = resolve(
            survey,
            mapping.column_kinds(self.entity),
            mapping.formats,
            form.dialect.delimiter,
            mapping.rules,
        )
        if questions:
            raise OperatorError(" ".join(questions))
        notes = (
            () if mapping.guarded else guard_notes(survey, mapping.columns, mapping.rules.guards)
        )
        return replace(
            self,
            mapping=replace(
                mapping, formats=formats, rules=replace(mapping.rules, decimals=decimals)
            ),
            form=replace(form, notes=(*form.notes, *notes)),
        )

    @contextmanager
    def opened(self, path: Path) -> Iterator[IO[bytes] | Path]:
        """Open a file in the form that `chunks` reads."""
        if self.is_packed:
            yield path
            return
        with path.open("rb") as stream:
            yield stream

    def chunks(
        self, source: IO[bytes] | Path, after: int = 0, into: Callable[[], Any] = list
    ) -> Iterator[Chunk[BatchRecord]]:
        """The records past a line or row, a table's own format from its path, collected `into` what
        that returns; raises `Unreadable` while it is read, OperatorError for columns that nothing
        maps."""
        if self.is_grouped and self.mapping is not None:
            return self.orders(self._newer(self.rows(source)), self.mapping, after, into)
        rows = self._newer(self._raw(source, after))
        return chunks(rows, self.reader(), CHUNK, into=into)

    def reader(self) -> Callable[[int, Any], BatchRecord]:
        """Return the function that reads a line or row, unless rows are grouped."""
        if self._format == "ndjson":
            return self.entry
        return self._line if self._format == "json" else self._row_reader()

    def _raw(self, source: IO[bytes] | Path, after: int) -> Iterator[tuple[int, Any]]:
        """Yield the lines or rows past a line or row, as `reader` takes them."""
        if self._format != "ndjson" or isinstance(source, Path):
            return self._rows(source, after)
        return lines(unzipped(source) if self.entity == "batch" else self._text(source), after)

    @property
    def is_grouped(self) -> bool:
        """Whether several rows are one order."""
        is_table = self._format not in ("ndjson", "json")
        return is_table and self.mapping is not None and bool(self.mapping.group)

    def every_row(self, source: IO[bytes] | Path) -> Iterator[tuple[int, Any]]:
        """Yield the rows, or lines of JSON, as `chunks` reads them; raises `Unreadable`."""
        if self._format == "ndjson" and not isinstance(source, Path):
            return lines(self._text(source))
        return self._rows(source)

    def _newer(self, rows: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        return rows if self.mark is None else self.mark.newer(rows)

    def records(
        self, rows: Iterable[NumberedRow], mapping: ColumnMapping
    ) -> Iterator[Chunk[BatchRecord]]:
        """Yield the records of rows that were read before, such as a sample."""
        if mapping.group:
            return self.orders(rows, mapping)
        return chunks(rows, lambda line, row: row_record(self.entity, line, row, mapping), CHUNK)

    def orders(
        self,
        rows: Iterable[NumberedRow],
        mapping: ColumnMapping,
        after: int = 0,
        into: Callable[[], Any] = list,
    ) -> Iterator[Chunk[BatchRecord]]:
        """Yield the orders of a table whose rows are grouped, past a row."""

        numbered = ((number, _cells(mapping, row)) for number, row in rows)
        orders = order_rows(numbered, mapping, after)
        return chunks(
            orders, lambda _, several: order_record(several, mapping), CHUNK, OrderRows.weight, into
        )

    def columns(self, source: IO[bytes] | Path) -> list[str]:
        """Return the names of a table's columns; none for lines of JSON. Raises `Unreadable`."""
        if self._format == "parquet":
            return parquet_columns(_path(source))
        if self._format == "spreadsheet":
            return sheet_columns(_path(source), self._sheet)
        if self._format == "csv":
            stream = _stream(source)
            return csv_table(expanded(stream), self._form_of(stream))[0]
        return []

    def column_names(self, path: Path) -> list[str]:
        """Return the names of the columns of a table's file; raises `Unreadable`."""
        with self.opened(path) as source:
            return self.columns(source)

    def rows(self, source: IO[bytes] | Path, after: int = 0) -> Iterator[tuple[int, Row]]:
        """Yield (line or row, column -> cell) of each row of a table; raises `Unreadable`."""
        for number, row in self._rows(source, after):
            yield number, batch_records.json_value(row) if isinstance(row, bytes) else row

    @property
    def is_of_utf8_lines(self) -> bool:
        """Whether each line of the file is a record, in UTF-8, plain or gzip."""
        form = self.form or FileForm()
        return (
            form.format == "ndjson"
            and form.compression != "zstd"
            and (form.encoding.startswith("utf-8"))
        )

    @property
    def is_packed(self) -> bool:
        """Whether the file is read from its path, not as a stream."""
        return self._format in PACKED

    @property
    def _format(self) -> str:
        return self.form.format if self.form else self.format

    @property
    def _sheet(self) -> str:
        return self.mapping.sheet if self.mapping else ""

    def values(self, source: IO[bytes]) -> Iterator[dict[str, Any]]:
        """Yield the values of a JSON document, or of lines of JSON; raises `Unreadable`."""
        is_document = self._format == "json"
        for _, text in self._json(source, 0) if is_document else lines(self._text(source)):
            try:
                yield batch_records.json_of(text)
            except RecordRejected:
                yield {"": "not a JSON object"}

    def choices(self) -> Choices:
        """Return the format, encoding, delimiter and header that name or mapping determine."""
        own = self.mapping or ColumnMapping({})
        return Choices(self.format, own.encoding, own.delimiter, own.header)

    def _form_of(self, stream: IO[bytes]) -> FileForm:
        """Return the form of a text, detected from its start if the layout is not `prepared`."""
        if self.form is not None:
            return self.form
        return form_of_stream(stream, self.choices())

    def _text(self, stream: IO[bytes]) -> IO[bytes]:
        """Return the content of lines of JSON, as UTF-8."""
        encoding = self.form.encoding if self.form else "utf-8"
        content = expanded(stream)
        return content if encoding.startswith("utf-8") else as_utf8(content, encoding)

    def _json(self, source: IO[bytes] | Path, after: int) -> Iterator[tuple[int, bytes]]:
        stream = _stream(source)
        return json_values(expanded(stream), self._form_of(stream).encoding, after)

    def _rows(self, source: IO[bytes] | Path, after: int = 0) -> Iterator[tuple[int, Any]]:
        """Yield the rows of a table, or the values of a JSON document, as their reader does."""
        if self._format == "parquet":
            return parquet_rows(_path(source), after)
        if self._format == "spreadsheet":
            return sheet_rows(_path(source), self._sheet, after)
        if self._format == "json":
            return self._json(source, after)
        stream = _stream(source)
        return csv_rows(expanded(stream), self._form_of(stream), after)

    def entry(self, number: int, text: bytes) -> BatchRecord:
        """Return the record of a line of JSON."""
        if self.entity == "batch":
            return batch_records.entry(number, text, tracking=self.tracking)
        return self._line(number, text)

    def _row_reader(self) -> Callable[[int, Any], BatchRecord]:
        """Return a function from rows of a table to records; the default is a mapping by name."""
        mapping, values = self.mapping, None

        def read(number: int, row: Any) -> BatchRecord:
            nonlocal mapping, values
            if isinstance(row, bytes):
                row = batch_records.json_value(row)
            if mapping is None or not (mapping.columns or mapping.constants):
                mapping = self._mapping_of(list(row))
            values = values or RowValues(self.entity, mapping)
            row = _cells(mapping, row)
            if row.get(EXTRA):
                at = ", ".join(map(str, row[EXTRA][:5]))
                reason = f"row: has more cells than the header (cells without a column: {at})"
                return BatchRecord(number, None, rules.invalid(reason))
            return row_record(self.entity, number, row, mapping, values)

        return read

    def _line(self, number: int, text: bytes) -> BatchRecord:
        """Return the record of a line: a value, or a record in a batch's envelope."""
        if self.mapping is None and self.entity in PLAIN_READERS:
            record = PLAIN_READERS[self.entity](number, text)
            if record is not None:
                return record
        try:
            value = batch_records.json_of(text)
        except RecordRejected as refused:
            return BatchRecord(number, None, refused.fault)
        if "schema" in value and "value" in value:
            return batch_records.entry(number, text, tracking=True, imported=True)
        if self.mapping is not None:
            return row_record(self.entity, number, value, self.mapping)
        return batch_records.entry_of(number, value, READERS[self.entity])


def _cells(mapping: ColumnMapping, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the cells of a row, without the marks of a guarded file."""
    if not mapping.guarded:
        return row
    return {n: unguarded(cell) if n else cell for n, cell in row.items()}


def _stream(source: IO[bytes] | Path) -> IO[bytes]:
    if isinstance(source, Path):
        raise OperatorError("Only Parquet files and spreadsheets are read from a path.")
    return source


def _path(source: IO[bytes] | Path) -> Path:
    if not isinstance(source, Path):
        raise OperatorError("This file is read from a path, not from a stream.")
    return source
