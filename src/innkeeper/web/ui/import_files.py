"""Files uploaded for an import: store them, read samples, map their columns.

Nothing here uses the database; callers run the functions in threads, since they block.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import md5
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Final, cast

from innkeeper.errors import BadRequest
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import Day, Instant
from innkeeper.resources.naming import camel
from innkeeper.rules.batch import BatchRecord
from innkeeper.rules.date_formats import ISO, NotADate, read_date
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.store.file_form import FileForm, form_of_stream
from innkeeper.store.files import Files
from innkeeper.store.limited_streams import LimitedStream, TooLong
from innkeeper.store.readers import Chunk, Unreadable, expanded, readable
from innkeeper.wire.bulk.batch_files import PACKED, Layout, guessed_format
from innkeeper.wire.bulk.batch_plans import ITEM
from innkeeper.wire.bulk.cells import Unfit
from innkeeper.wire.bulk.mapping import ColumnMapping, mapping_of
from innkeeper.wire.bulk.presets import find_preset, read_presets
from innkeeper.wire.bulk.rejected_rows import ReasonCounts, Refusal, RejectedRows
from innkeeper.wire.bulk.suggestion import suggest
from innkeeper.wire.bulk.survey import TableSurvey
from innkeeper.wire.bulk.targets import PLANS, is_target, kind_of

SAMPLE: Final = 200
"""Rows that a suggested mapping is based on."""
SAMPLE_ROWS: Final = 3
MOST_COLUMNS: Final = 200
"""Most columns in the form; the others get their suggested targets."""
HEAD_BYTES: Final = 1 << 20
"""Bytes at the start of a file that a page reads for its first rows."""
EVENT_TARGETS: Final = ("type", "channel", "pos", "browser_id", "requested_at", "page", "email")
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A stored upload: its description, MD5 and size in bytes."""

    about: dict[str, Any]
    checksum: str
    size: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows of a table, or the first values of a file of JSON lines."""

    columns: list[str]
    rows: list[dict[str, Any]]


@dataclass(slots=True)
class PreviewColumn:
    """A column in the form."""

    name: str
    targets: str
    """Its targets, separated by commas; empty when it is not imported."""
    form: str
    """The format of its dates."""
    examples: list[str] = field(default_factory=list)
    is_date: bool = False
    choices: list[tuple[str, str]] = field(default_factory=list)
    """Formats that its dates may have, where nothing shows which, and one of them so read."""


def store_upload(
    files: Files, name: str, source: IO[bytes], filename: str, most: int
) -> UploadedFile:
    """Store an uploaded file; raises BadRequest when it cannot be read, also past `most` bytes of
    content."""
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
        layout = Layout("", guessed_format(filename)[0] or "csv", compressed=False)
        try:
            layout, survey = layout.surveyed(Path(staged.name), most)
        except Unreadable as error:
            raise BadRequest(f"The file cannot be read: {error}.") from error
        files.put(name, staged)
    form = layout.form or FileForm()
    compressed = bool(form.compression)
    about = {
        "format": "ndjson" if form.format == "json" else form.format,
        "compressed": compressed,
        "mapping": None,
        "name": filename[-200:],
        "encoding": form.encoding,
        "notes": list(form.notes),
        **_describe_survey(survey),
    }
    if not compressed and form.format in ("csv", "ndjson"):
        about["lines"] = breaks
    return UploadedFile(about, digest.hexdigest(), size)


def _describe_survey(survey: TableSurvey) -> dict[str, Any]:
    """What all rows of a table show, as it is stored with its import."""
    columns = dict(islice(survey.columns.items(), MOST_COLUMNS))
    formats = {name: one.formats() for name, one in columns.items()}
    return {
        "dates": {name: forms for name, forms in formats.items() if forms and forms != [ISO]},
        "guards": [name for name, one in columns.items() if one.guarded],
        "nothing": sorted(set().union(*(one.blanks for one in columns.values()))),
    }


@contextmanager
def open_upload(files: Files, name: str, about: Mapping[str, Any]) -> Iterator[IO[bytes] | Path]:
    """Open a stored upload for `Layout.chunks`; raises BadRequest when it cannot be read, and
    `TooLong` past the limit of its reader."""
    try:
        with files.local(name) as path:
            if about["format"] in PACKED:
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


def read_sample(files: Files, name: str, about: Mapping[str, Any]) -> Sample:
    """Read the first rows of an upload; raises BadRequest when it cannot be read."""
    chosen = ColumnMapping({}, encoding=str(about.get("encoding") or ""))
    layout = Layout("", about["format"], about["compressed"], chosen)
    with open_upload(files, name, about) as source:
        if isinstance(source, Path):
            rows = [row for _, row in islice(layout.rows(source), SAMPLE)]
            return Sample(layout.columns(source), rows)
        stream = _head(expanded(source))
        layout = replace(layout, form=form_of_stream(stream, layout.choices()))
        if about["format"] == "ndjson":
            return Sample([], list(islice(layout.values(stream), SAMPLE_ROWS)))
        columns = layout.columns(stream)
        stream.seek(0)
        return Sample(columns, [row for _, row in islice(layout.rows(stream), SAMPLE)])


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


def suggest_mapping(
    holds: str,
    table: Sample,
    about: Mapping[str, Any],
    rules: IdentityRules,
    presets: Iterable[Path],
) -> ColumnMapping:
    """Suggest a mapping of the columns by a preset, or by their names, sample rows and what all
    rows show. `presets` are the folders of people's own."""
    preset = find_preset(table.columns, holds, read_presets(presets))
    parts = suggest(holds, table.columns, table.rows, rules, preset).document()
    parts.pop("undecided", None)
    kinds = mapping_of(holds, parts).column_kinds(holds)
    formats = {
        column: forms[0]
        for column, forms in about.get("dates", {}).items()
        if len(forms) == 1 and isinstance(kinds.get(column), Instant | Day)
    }
    encoding = about.get("encoding", "") if about["format"] == "csv" else ""
    cells = {name: about[name] for name in ("guards", "nothing") if about.get(name)}
    formats = {**parts["formats"], **formats} if preset else formats
    return mapping_of(holds, {**parts, **cells, "formats": formats, "encoding": encoding})


def needs_currency(holds: str, mapping: ColumnMapping) -> bool:
    """Whether a file has amounts, and neither a column nor a choice says their currency."""
    targets = {*chain.from_iterable(mapping.columns.values())}
    amounts = {"price", "orderItems.price"} & targets
    return holds == "orders" and bool(amounts) and "currencyCode" not in targets


def open_questions(
    holds: str, about: Mapping[str, Any], mapping: ColumnMapping
) -> dict[str, list[str]]:
    """Return the columns of dates whose format nobody chose and nothing shows -> its formats."""
    kinds = mapping.column_kinds(holds)
    return {
        column: forms
        for column, forms in about.get("dates", {}).items()
        if len(forms) > 1
        and isinstance(kinds.get(column), Instant | Day)
        and column not in mapping.formats
    }


def read_mapping(
    holds: str, table: Sample, form: Mapping[str, Any], first: ColumnMapping
) -> ColumnMapping:
    """Read the mapping of the form; raises OperatorError for a target that does not exist."""
    columns, formats = {}, {}
    for column in table.columns[MOST_COLUMNS:]:
        if column in first.columns:
            columns[column] = list(first.columns[column])
            if column in first.formats:
                formats[column] = first.formats[column]
    for number, column in enumerate(table.columns[:MOST_COLUMNS]):
        targets = str(form.get(f"c{number}") or "")
        if column and targets:
            columns[column] = targets.split(",")
            if date_format := str(form.get(f"f{number}") or "").strip():
                formats[column] = date_format
    types = {
        column: kind
        for column, kind in first.types.items()
        if any(target.startswith("extensions.") for target in columns.get(column, ()))
    }
    parts = {**first.plain(), "columns": columns, "formats": formats, "types": types}
    if currency := str(form.get("currency") or "").strip().upper():
        fields = ["currencyCode", *(["orderItems.currencyCode"] if first.is_of_lines else [])]
        parts["constants"] = {**first.constants, **dict.fromkeys(fields, currency)}
    if first.group not in columns:
        parts.pop("group", None)
    return mapping_of(holds, parts)


def columns_of(
    holds: str, table: Sample, mapping: ColumnMapping, about: Mapping[str, Any]
) -> list[PreviewColumn]:
    """Return the columns of the form, each with its targets and examples."""
    columns = []
    for name in table.columns[:MOST_COLUMNS]:
        targets = mapping.columns.get(name, ())
        examples = dict.fromkeys(str(row[name]) for row in table.rows if row.get(name))
        column = PreviewColumn(name, ",".join(targets), mapping.formats.get(name, ""))
        column.examples = list(examples)[:SAMPLE_ROWS]
        column.is_date = any(isinstance(kind_of(holds, each), Instant | Day) for each in targets)
        forms = about.get("dates", {}).get(name, [])
        if column.is_date and len(forms) > 1:
            column.choices = [(form, _as_read(form, column.examples)) for form in forms]
        columns.append(column)
    return columns


def _as_read(form: str, examples: list[str]) -> str:
    """The first date as it reads in a format."""
    for text in examples:
        with suppress(NotADate):
            return f"{read_date(form, text):%-d %B %Y}"
    return ""


def targets_of(
    holds: str, column: PreviewColumn, providers: list[str]
) -> list[tuple[str, list[str]]]:
    """List the targets that a column may have, in the form's spelling: (heading, targets)."""
    extension_name = camel(
        "_".join("".join(c if c.isalnum() else " " for c in column.name).split()).lower()
    )
    extension_name = extension_name if extension_name.isascii() and extension_name else "column"
    if holds == "events":
        groups = [("Members of the event", list(dict.fromkeys((column.name, *EVENT_TARGETS))))]
    else:
        groups = [("Fields", _fields(holds, holds))]
    if holds == "guests":
        groups.append(("Identifiers", [f"identifiers.{each}" for each in providers]))
    if holds == "orders":
        groups.append(("Its item", [f"orderItems.{each}" for each in _fields("items", holds)]))
        contact = [f"contact.{each}" for each in _fields("guests", "guests")]
        contact += [f"contact.identifiers.{each}" for each in providers]
        groups.append(("Its contact", contact))
    if holds != "events":
        groups.append(("Data extension", [f"extensions.ext.{extension_name}"]))
    offered = {target for _, targets in groups for target in targets}
    if column.targets and column.targets not in offered:
        groups.insert(0, ("Suggested", [column.targets]))
    return groups


def _fields(of: str, holds: str) -> list[str]:
    plan = ITEM if of == "items" else PLANS[of]
    own = [name for name, (_, kind, _) in plan.items() if kind is not None]
    if of != "items":
        own = [name for name in own if is_target(holds, name)]
    return sorted(name for name in own if name not in ("identifiers", "subscriptions"))


def preview(holds: str, table: Sample, mapping: ColumnMapping | None) -> list[Record]:
    """Map the first rows; a row that cannot be mapped has only `refused`, the reason."""
    if mapping is None:
        return table.rows[:SAMPLE_ROWS]
    records: list[Record] = []
    for row in table.rows[:SAMPLE_ROWS]:
        try:
            records.append(mapping.value(holds, row))
        except Unfit as unfit:
            records.append({"refused": str(unfit)})
    return records


def layout_of(holds: str, about: Mapping[str, Any], mapping: ColumnMapping | None) -> Layout:
    """Return the layout of the file for the reader of batches."""
    return Layout(holds, about["format"], about["compressed"], mapping)


def first_chunks(
    layout: Layout, source: IO[bytes] | Path, limit: int
) -> Iterator[Chunk[BatchRecord]]:
    """Read the records in the first `limit` bytes of a file's text; then raise `TooLong`.

    Nothing is read before the first chunk is asked for.
    """
    if isinstance(source, Path):
        yield from layout.chunks(source)
        return
    layout = replace(layout, form=form_of_stream(source, layout.choices()))
    limited = cast(IO[bytes], LimitedStream(expanded(source), limit))
    yield from layout.chunks(limited)


def read_refused(
    files: Files,
    name: str,
    about: Mapping[str, Any],
    layout: Layout,
    refusals: list[Refusal],
) -> dict[str, str]:
    """Return reason -> the cell that is wrong, of refused records in the order of their lines."""
    counts = ReasonCounts()
    with open_upload(files, name, about) as source:
        for refusal, rows in RejectedRows(layout, source).take(refusals):
            counts.add(refusal, rows[0], layout.mapping)
    return counts.values
