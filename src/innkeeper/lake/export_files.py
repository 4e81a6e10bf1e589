"""Write the files of an export with the engine; templates are filled row by row."""

import gzip
import shutil
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlglot import exp

from innkeeper.lake import duckdb as engine
from innkeeper.lake.export_sql import CHOSEN, export_rows
from innkeeper.lake.files import storage
from innkeeper.lake.session import Form, LakeSession, Snapshot
from innkeeper.resources.exports import CSV, JSON, PARQUET
from innkeeper.rules.exports import ExportFormat, filled
from innkeeper.rules.traits import Traits
from innkeeper.settings import Settings
from innkeeper.store.parquet_types import literal

_BATCH: Final = 2000
_GZIPPED_MARK: Final = gzip.compress(BOM_UTF8, mtime=0)
_PARQUET: Final = "FORMAT parquet, COMPRESSION zstd"


def write_file(
    session: LakeSession,
    snapshot: Snapshot,
    shape: ExportFormat,
    traits: Traits,
    guests: Iterable[str],
    path: Path,
) -> int:
    """Write the file of some guests; return the number of rows."""
    session.table(CHOSEN, "guest_ref", list(guests))
    rows = export_rows(shape, traits)
    seconds = snapshot.settings.lake_query_seconds
    if shape.template is not None:
        return _template(session, shape, rows, path, seconds)
    written = session.copy(rows, path, _form(shape), seconds)
    if shape.bom:
        _prepend_mark(path)
    return written


def write_without(
    settings: Settings,
    source: Path,
    target: Path,
    form: str,
    positions: Sequence[int],
    *,
    header: bool,
) -> None:
    """Rewrite a file of an export without some of its rows, counted from 0."""
    if form == PARQUET:
        with engine.connected(settings, storage(settings), upkeep=True) as connection:
            connection.execute(
                "COPY (SELECT * EXCLUDE (file_row_number) FROM "  # noqa: S608
                f"read_parquet({literal(str(source))}, file_row_number = true) "
                f"WHERE NOT list_contains({list(positions)}::BIGINT[], file_row_number) "
                f"ORDER BY file_row_number) TO {literal(str(target))} ({_PARQUET})"
            )
        return
    removed = {position + header for position in positions}
    with gzip.open(source) as lines, gzip.open(target, "wb", compresslevel=6) as out:
        for number, row in enumerate(_whole_rows(lines, form == CSV)):
            if number not in removed:
                out.write(row)
            elif number == 0 and row.startswith(BOM_UTF8):
                # The mark comes before the first row, and is not part of it.
                out.write(BOM_UTF8)


def _whole_rows(lines: Iterable[bytes], csv: bool) -> Iterator[bytes]:
    """Yield the rows of a text file; a CSV row continues on the next line within quotes."""
    row = b""
    for line in lines:
        row += line
        if not csv or row.count(b'"') % 2 == 0:
            yield row
            row = b""
    if row:
        yield row


def _prepend_mark(path: Path) -> None:
    """Prepend a byte order mark to a gzip file, whose members are read as one text."""
    marked = path.with_name(f"{path.name}.marked")
    with path.open("rb") as rows, marked.open("wb") as out:
        out.write(_GZIPPED_MARK)
        shutil.copyfileobj(rows, out)
    marked.replace(path)


def _form(shape: ExportFormat) -> Form:
    if shape.format == PARQUET:
        return Form(_PARQUET)
    if shape.format == CSV:
        header = "true" if shape.header else "false"
        quotes = ", FORCE_QUOTE *" if shape.quote else ""
        delimiter = literal(shape.delimiter)
        return Form(f"FORMAT csv, COMPRESSION gzip, DELIMITER {delimiter}, HEADER {header}{quotes}")
    return Form("FORMAT json, COMPRESSION gzip", as_text=shape.format == JSON)


def _template(
    session: LakeSession, shape: ExportFormat, rows: exp.Select, path: Path, seconds: float
) -> int:
    names = [column.name for column in shape.columns]
    written = 0
    with gzip.open(path, "wb", compresslevel=6) as file:
        for batch in session.batches(rows, _BATCH, seconds):
            for values in batch:
                guest: Any = filled(shape.template, dict(zip(names, values, strict=True)))
                if shape.format == JSON:
                    guest = {"data": msgspec.json.encode(guest, enc_hook=str).decode()}
                file.write(msgspec.json.encode(guest, enc_hook=str) + b"\n")
                written += 1
    return written
