"""The first rows of a chosen file, by the parts of it that the page sends before the whole file.

These are the start of a text, a whole Parquet file or workbook up to `WHOLE_BYTES`, and of a larger
Parquet file the start and the end, where its columns are.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.responses import Response

from innkeeper.errors import BadRequest
from innkeeper.rules.access import Right
from innkeeper.rules.masking import masked
from innkeeper.settings import Settings
from innkeeper.store.encodings import decide_encoding
from innkeeper.store.file_form import form_of_stream
from innkeeper.store.parquet_rows import first_rows_end, parquet_count, parquet_footer
from innkeeper.store.readers import Unreadable, expanded, readable
from innkeeper.store.spreadsheets import sheet_names, sheet_table
from innkeeper.store.temp_files import temporary
from innkeeper.web.ui.import_dry_run import in_thread
from innkeeper.web.ui.import_files import HEAD_BYTES
from innkeeper.web.ui.import_form import MOST_COLUMNS, SHOWN_CHARACTERS
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.file_formats import guessed_format
from innkeeper.wire.bulk.nested_rows import flat_row

START_BYTES: Final = 1 << 20
"""Bytes of a file that the page sends for its first rows."""
WHOLE_BYTES: Final = 8 << 20
"""Size up to which the page sends Parquet files and workbooks as a whole; of a larger Parquet file
it sends so much of the start, and `START_BYTES` of the end."""
SHOWN_ROWS: Final = 10
_PARQUET: Final = b"PAR1"
_PACKED: Final = (_PARQUET, b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of Parquet files and workbooks."""
_TOO_LARGE: Final = (
    "The file has more than {most:,} MB, the most that is uploaded. Import it in parts, or by the "
    "command innkeeper import on the server."
)
_PIECE: Final = 1 << 16

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class FilePreview:
    """The columns and the first rows of a file, as far as they are known."""

    columns: list[str] = field(default_factory=list)
    rows: Rows = field(default_factory=list)
    note: str = ""
    fault: str = ""
    """Why the chosen sheet cannot be read."""
    sheets: list[str] = field(default_factory=list)
    """The sheets of a workbook."""
    has_unknown_sheets: bool = False
    """Whether it is a workbook that is too large to list its sheets."""


@dataclass(frozen=True, slots=True)
class FileParts:
    """The parts of a file that the page sends."""

    name: str
    start: bytes
    end: bytes = b""
    """The last bytes; empty if there are none after `start`, or if they were not sent."""
    size: int = 0
    """Of the whole file."""
    sheet: str = ""
    """The chosen sheet of a workbook; the first if empty."""

    @property
    def is_whole(self) -> bool:
        return self.size <= len(self.start)


def preview(parts: FileParts, settings: Settings) -> FilePreview:
    """Return the columns and first rows of a file; raises `BadRequest` when it cannot be read."""
    if not parts.start.startswith(_PACKED):
        return FilePreview(*first_rows(parts.start[:START_BYTES], parts.name))
    is_parquet = parts.start.startswith(_PARQUET)
    if not parts.is_whole and not is_parquet:
        most = f"{WHOLE_BYTES >> 20} MB"
        note = f"The rows of a workbook over {most} are shown once it is uploaded."
        return FilePreview(note=note, has_unknown_sheets=True)
    if is_parquet and not parts.is_whole and not parquet_footer(parts.end):
        return FilePreview(note="The columns and rows of this file are shown once it is uploaded.")
    with temporary(settings, "preview") as folder:
        path = folder / "file"
        with path.open("wb") as file:
            file.write(parts.start)
            if not parts.is_whole:
                # Between the parts the file is empty.
                file.truncate(parts.size)
                file.seek(parts.size - len(parts.end))
                file.write(parts.end)
        try:
            return _packed_rows(path, parts, is_parquet=is_parquet)
        except Unreadable as error:
            raise BadRequest(f"The file cannot be read: {error}.") from error


def _packed_rows(path: Path, parts: FileParts, *, is_parquet: bool) -> FilePreview:
    """Read a workbook, or a Parquet file that may be empty after its start; raises `Unreadable`."""
    if not is_parquet:
        return _sheet_preview(path, parts.sheet)
    layout = Layout("", "parquet", compressed=False)
    if parts.is_whole or 0 < first_rows_end(path) <= len(parts.start):
        try:
            with layout.table(path) as (columns, rows_of_table):
                return FilePreview(columns, _read_some(row for _, row in rows_of_table))
        except Unreadable:
            # DuckDB reads ahead, perhaps to where the file is empty.
            if parts.is_whole:
                raise
    note = f"This file has {parquet_count(path):,} rows. They are shown once it is uploaded."
    return FilePreview(layout.column_names(path), note=note)


def _sheet_preview(path: Path, sheet: str) -> FilePreview:
    """Read the first rows of a sheet, and the names of all; raises `Unreadable`."""
    sheets = sheet_names(path)
    try:
        with sheet_table(path, sheet if sheet in sheets else "") as (columns, rows):
            return FilePreview(columns, _read_some(row for _, row in rows), sheets=sheets)
    except Unreadable as error:
        return FilePreview(fault=f"The file cannot be read: {error}.", sheets=sheets)


def first_rows(start: bytes, filename: str) -> tuple[list[str], Rows]:
    """Return the columns and first rows of a text by its start; raises `BadRequest` when it cannot
    be read."""
    try:
        content = _whole_lines(start)
        with io.BytesIO(content) as stream:
            layout = Layout("", guessed_format(filename)[0] or "csv", compressed=False)
            form = form_of_stream(stream, layout.choices())
            if form.format != "ndjson":
                lines = content.splitlines(keepends=True)
                encoding, _ = decide_encoding(lines, form.encoding, is_chosen=False, is_whole=False)
                form = replace(form, encoding=encoding)
            layout = replace(layout, form=form)
            if form.format != "csv":
                rows = _read_some(dict(flat_row(value)) for value in layout.values(stream))
                return [*dict.fromkeys(name for row in rows for name in row)], rows
            columns = layout.columns(stream)
            stream.seek(0)
            return columns, _read_some(row for _, row in layout.rows(stream))
    except Unreadable as error:
        raise BadRequest(f"The file cannot be read: {error}.") from error
    except UnicodeError as error:
        # The end of the start may be within a character.
        raise BadRequest("The start of the file cannot be decoded.") from error


def _whole_lines(start: bytes) -> bytes:
    """Return the whole lines of the content that the start of a file holds."""
    stream, content = expanded(io.BytesIO(start)), bytearray()
    try:
        with readable():
            while len(content) < HEAD_BYTES and (piece := stream.read(_PIECE)):
                content += piece
    except Unreadable:
        # The rest of a compressed file is not there.
        if not content:
            raise
    is_whole = len(start) < START_BYTES
    end = 0 if is_whole else content.rfind(b"\n") + 1
    return bytes(content[:end] if end else content)


def _read_some(rows: Iterator[dict[str, Any]]) -> Rows:
    """Return the first rows, as far as they can be read."""
    some: Rows = []
    try:
        some.extend(islice(rows, SHOWN_ROWS))
    except Unreadable:
        if not some:
            raise
    return some


async def show_first_rows(visit: Visit) -> Response:
    """Show the first rows of the file whose start was sent."""
    file = visit.form.get("file")
    if not isinstance(file, UploadFile):
        raise BadRequest("Choose a file.")
    content = await file.read(WHOLE_BYTES + START_BYTES)
    size = max(len(content), _number_in(visit.form_text("size")))
    start = content[: max(0, len(content) - _number_in(visit.form_text("end")))]
    first, fault = FilePreview(), ""
    try:
        if size > visit.settings.max_upload_bytes:
            raise BadRequest(_TOO_LARGE.format(most=visit.settings.max_upload_bytes >> 20))
        end, sheet = content[len(start) :], visit.form_text("sheet")
        parts = FileParts(file.filename or "", start, end, size, sheet)
        first = await in_thread(visit, preview, parts, visit.settings)
    except BadRequest as error:
        fault = error.message
    columns = first.columns[:MOST_COLUMNS]
    cells = [[_cell(row.get(name), visit) for name in columns] for row in first.rows]
    return visit.show(
        "import_preview.html",
        columns=columns,
        rows=cells,
        fault=fault or first.fault,
        first=first,
        sheet=visit.form_text("sheet"),
    )


def _number_in(text: str) -> int:
    """Return the number of bytes that a page names; 0 if it names none."""
    return int(text) if len(text) < 16 and text.isascii() and text.isdecimal() else 0


def _cell(value: Any, visit: Visit) -> str:
    text = "" if value is None else str(value)[:SHOWN_CHARACTERS]
    return text if visit.personal or not text else masked(text)


PAGES: Final = (
    PageRoute(
        "/imports/preview",
        post=show_first_rows,
        post_right=Right.IMPORTS,
        whole=False,
        uploads=True,
    ),
)
