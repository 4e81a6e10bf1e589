"""The first rows of a chosen file, by its start, which the page sends before the whole file."""

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.responses import Response

from innkeeper.errors import BadRequest
from innkeeper.rules.access import Right
from innkeeper.rules.masking import masked
from innkeeper.store.encodings import decide_encoding
from innkeeper.store.file_form import form_of_stream
from innkeeper.store.readers import Unreadable, expanded, readable
from innkeeper.web.ui.import_dry_run import in_thread
from innkeeper.web.ui.import_files import HEAD_BYTES
from innkeeper.web.ui.import_form import MOST_COLUMNS, SHOWN_CHARACTERS
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.file_formats import guessed_format
from innkeeper.wire.bulk.nested_rows import flat_row

START_BYTES: Final = 1 << 20
"""Bytes of a file that the page sends for its first rows."""
SHOWN_ROWS: Final = 10
_PACKED: Final = (b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of Parquet files and workbooks, which are read as a whole."""
_PIECE: Final = 1 << 16

Rows = list[dict[str, Any]]


def first_rows(start: bytes, filename: str) -> tuple[list[str], Rows] | None:
    """Return the columns and first rows of a file by its start; None for a file that is read as a
    whole. Raises `BadRequest` when it cannot be read."""
    if start.startswith(_PACKED):
        return None
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
    start = await file.read(START_BYTES)
    rows, fault = None, ""
    try:
        rows = await in_thread(visit, first_rows, start, file.filename or "")
    except BadRequest as error:
        fault = error.message
    columns, first = rows or ([], [])
    cells = [[_cell(row.get(name), visit) for name in columns[:MOST_COLUMNS]] for row in first]
    return visit.show(
        "import_preview.html",
        columns=columns[:MOST_COLUMNS],
        rows=cells,
        fault=fault,
        is_packed=rows is None and not fault,
    )


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
