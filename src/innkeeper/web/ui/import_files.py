"""Files uploaded for an import: store them, read samples and refused rows of them.

Nothing here uses the database; callers run the functions in threads, since they block.
"""

import io
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import md5
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final, cast

from innkeeper.errors import BadRequest
from innkeeper.rules.batch import BatchRecord
from innkeeper.store.file_form import FileForm, form_of_stream
from innkeeper.store.files import Files
from innkeeper.store.limited_streams import LimitedStream, TooLong
from innkeeper.store.readers import Chunk, Unreadable, expanded, readable
from innkeeper.web.ui.import_form import SAMPLE
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.file_formats import FIRST_LOOK, PACKED, TABLES, guessed_format
from innkeeper.wire.bulk.mapping import ColumnMapping
from innkeeper.wire.bulk.presets import find_preset, read_presets
from innkeeper.wire.bulk.rejected_rows import (
    ReasonCounts,
    Refusal,
    RejectedRows,
    RejectedRowsWriter,
)
from innkeeper.wire.bulk.sample import TableSample, read_json_sample
from innkeeper.wire.bulk.suggestion import guess_entity, guess_entity_of_values
from innkeeper.wire.bulk.survey import TableSurvey

HEAD_BYTES: Final = 1 << 20
"""Bytes at the start of a file that a page reads for its first rows."""
_BLOCK: Final = 1 << 20
_MOST_SAMPLES: Final = 8
_LARGEST_SAMPLE: Final = 1 << 20
"""Characters of the largest sample that stays in memory."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A stored upload: its description, MD5, size in bytes, and the kind of records that its
    columns show."""

    file_options: dict[str, Any]
    checksum: str
    size: int
    entity: str


def store_upload(
    files: Files,
    name: str,
    source: IO[bytes],
    filename: str,
    most: int,
    presets: Iterable[Path] = (),
    sheet: str = "",
) -> UploadedFile:
    """Store an uploaded file; raises BadRequest when it cannot be read, also past `most` bytes of
    content. `presets` are the folders of the workspace's own presets; `sheet` is the one of a
    workbook, if it is not the first."""
    digest, size, breaks = md5(usedforsecurity=False), 0, 0
    with files.staged() as staged:
        while block := source.read(_BLOCK):
            digest.update(block)
            size += len(block)
            breaks += block.count(b"\n")
            staged.write(block)
        if not size:
            raise BadRequest("Choose a file that is not empty.")
        staged.flush()
        path = Path(staged.name)
        chosen = ColumnMapping({}, sheet=sheet)
        layout = Layout("", guessed_format(filename)[0] or "csv", compressed=False, mapping=chosen)
        try:
            layout, survey = layout.surveyed(path, most, FIRST_LOOK)
            entity = _guess_holds(layout, path, survey, presets)
        except Unreadable as error:
            raise BadRequest(f"The file cannot be read: {error}.") from error
        files.put(name, staged)
    form = layout.form or FileForm()
    compressed = bool(form.compression)
    file_options = {
        "format": "ndjson" if form.format == "json" else form.format,
        "compressed": compressed,
        "mapping": None,
        "name": filename[-200:],
        "encoding": form.encoding,
        "sheet": sheet,
        "delimiter": form.dialect.delimiter if form.format == "csv" else "",
        "notes": list(form.notes),
        "survey": survey.summary(),
    }
    if survey.is_partial:
        file_options["partial"] = True
    if not compressed and form.format in ("csv", "ndjson"):
        file_options["lines"] = breaks
    return UploadedFile(file_options, digest.hexdigest(), size, entity)


def _guess_holds(layout: Layout, path: Path, survey: TableSurvey, presets: Iterable[Path]) -> str:
    """Return the kind of records in a file, by its columns."""
    is_table = layout.form is not None and layout.form.format in TABLES
    sample = TableSample(survey.names, []) if is_table else read_json_sample(layout, path)
    if preset := find_preset(sample.columns, None, read_presets(presets)):
        return preset.entity
    of_values = None if is_table else guess_entity_of_values(sample.columns, sample.rows)
    return of_values or guess_entity(sample.columns)


@contextmanager
def open_upload(
    files: Files, name: str, file_options: Mapping[str, Any]
) -> Iterator[IO[bytes] | Path]:
    """Open a stored upload for `Layout.chunks`; raises BadRequest when it cannot be read, and
    `TooLong` past the limit of its reader."""
    try:
        with files.local(name) as path:
            if file_options["format"] in PACKED:
                yield path
                return
            with path.open("rb") as stream:
                yield stream
    except TooLong:
        raise
    except Unreadable as error:
        raise BadRequest(f"The file cannot be read: {error}.") from error
    except FileNotFoundError:
        raise BadRequest("The file was deleted. Upload it again.") from None


def read_sample(
    files: Files, name: str, file_options: Mapping[str, Any], revision: int = 0
) -> TableSample:
    """Read the first rows of an upload; raises BadRequest when it cannot be read.

    Samples of workbooks and Parquet files stay in memory, a few, while their `revision` is the
    same: the whole file is read for them.
    """
    with _lock:
        stored = _samples.get((name, revision))
    if stored is not None:
        return stored
    encoding, sheet = (str(file_options.get(name) or "") for name in ("encoding", "sheet"))
    chosen = ColumnMapping({}, encoding=encoding, sheet=sheet)
    layout = Layout("", file_options["format"], file_options["compressed"], chosen)
    with open_upload(files, name, file_options) as source:
        if isinstance(source, Path):
            return _stored_sample((name, revision), _read_packed(layout, source))
        stream = _head(expanded(source))
        layout = replace(layout, form=form_of_stream(stream, layout.choices()))
        if file_options["format"] == "ndjson":
            return read_json_sample(layout, stream)
        columns = layout.columns(stream)
        stream.seek(0)
        return _sample(columns, layout.rows(stream))


_samples: OrderedDict[tuple[str, int], TableSample] = OrderedDict()
_lock: Final = Lock()


def _stored_sample(key: tuple[str, int], sample: TableSample) -> TableSample:
    size = sum(len(str(cell)) for row in sample.rows for cell in row.values())
    if size <= _LARGEST_SAMPLE:
        with _lock:
            _samples[key] = sample
            while len(_samples) > _MOST_SAMPLES:
                _samples.popitem(last=False)
    return sample


def forget_sample(name: str) -> None:
    """Remove the sample of an upload from memory, since its file is deleted or imported."""
    with _lock:
        for key in [each for each in _samples if each[0] == name]:
            del _samples[key]


def _read_packed(layout: Layout, path: Path) -> TableSample:
    with layout.table(path) as (columns, rows):
        return _sample(columns, rows)


def _sample(columns: list[str], rows: Iterator[tuple[int, dict[str, Any]]]) -> TableSample:
    numbered = list(islice(rows, SAMPLE))
    return TableSample(columns, [row for _, row in numbered], [number for number, _ in numbered])


def _head(stream: IO[bytes]) -> IO[bytes]:
    """Read the first whole lines of a stream; raises `Unreadable` when the first is too long."""
    with readable():
        head = stream.read(HEAD_BYTES)
    if len(head) == HEAD_BYTES:
        end = head.rfind(b"\n") + 1
        if not end:
            raise Unreadable(f"its first line is longer than {HEAD_BYTES:,} bytes")
        head = head[:end]
    return io.BytesIO(head)


def layout_of(
    entity: str, file_options: Mapping[str, Any], mapping: ColumnMapping | None
) -> Layout:
    """Return the layout of the file for the reader of batches."""
    return Layout(entity, file_options["format"], file_options["compressed"], mapping)


def first_chunks(
    layout: Layout, source: IO[bytes] | Path, limit: int
) -> Iterator[Chunk[BatchRecord]]:
    """Read the records in the first `limit` bytes of a file's text; then raise `TooLong`.

    Nothing is read before the first chunk is requested.
    """
    if isinstance(source, Path):
        yield from layout.chunks(source)
        return
    layout = replace(layout, form=form_of_stream(source, layout.choices()))
    limited = cast(IO[bytes], LimitedStream(expanded(source), limit))
    yield from layout.chunks(limited)


def refused_csv(
    files: Files,
    name: str,
    file_options: Mapping[str, Any],
    layout: Layout,
    refusals: list[Refusal],
) -> str:
    """Return the rows of refused records as CSV, with the reason; cells that a spreadsheet would
    run are marked."""
    out = io.StringIO()
    with open_upload(files, name, file_options) as source:
        if isinstance(source, Path):
            columns = layout.columns(source)
        else:
            layout = replace(layout, form=form_of_stream(source, layout.choices()))
            columns = layout.columns(source)
            source.seek(0)
        writer = RejectedRowsWriter(layout, columns, source, out)
        writer.write_header(is_guarded=True)
        writer.write(refusals)
    return out.getvalue()


def read_refused(
    files: Files,
    name: str,
    file_options: Mapping[str, Any],
    layout: Layout,
    refusals: list[Refusal],
) -> dict[str, str]:
    """Return reason -> the cell that is wrong, of refused records in the order of their lines."""
    counts = ReasonCounts()
    with open_upload(files, name, file_options) as source:
        for refusal, rows in RejectedRows(layout, source).take(refusals):
            counts.add(refusal, rows[0], layout.mapping)
    return counts.values
