"""`/innkeeper/v1/importSources`: files elsewhere that are imported again, on a schedule."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.bulk import import_sources
from innkeeper.errors import Problem
from innkeeper.resources.base import Record
from innkeeper.resources.payload_kinds import Label, NotBlank
from innkeeper.resources.payloads import Absent, JsonOf, Payload, present, read_members
from innkeeper.store.work import Work
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.imports import Entity, ImportedFileRequest, ImportFormat
from innkeeper.wire.bulk.mapping import mapping_of
from innkeeper.wire.bulk.mapping_document import ImportMapping
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import ErrorText, Href, Items

SOURCES: Final = "/innkeeper/v1/importSources"
IMPORT_SOURCES: Final = EndpointFamily("Files", SOURCES)
MAX_NAME: Final = 100


class CreateImportSourceRequest(ImportedFileRequest, kw_only=True):
    """A file elsewhere, how its columns become fields, and when it is read."""

    name: Annotated[str, Label(MAX_NAME)]
    address: Annotated[
        str, NotBlank(), "Path or URL; with a slash at its end, every new file below it."
    ]
    mark_column: Annotated[
        str | None, "Column of which only values past the greatest one so far are imported."
    ] = None
    schedule: Annotated[str | None, "DAILY, WEEKLY or a cron line, UTC."] = None

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        yield from super().check(values)
        mapping = values.get("mapping")
        if values.get("mark_column") and isinstance(mapping, dict) and mapping.get("group"):
            yield Problem("markColumn", "is not for orders of several rows")


class ChangeImportSourceRequest(Payload):
    """The members of an import source that a caller may change."""

    name: Annotated[str, Label(MAX_NAME)] | Absent
    address: Annotated[str, NotBlank()] | Absent
    format: ImportFormat | Absent
    compressed: bool | Absent
    mapping: Annotated[Record | Absent | None, JsonOf(ImportMapping)]
    mark_column: str | Absent | None
    schedule: str | Absent | None


class ImportSource(Payload):
    """An import source, the position up to which it was imported, and the reason why it cannot be
    read."""

    href: Annotated[str, Href(SOURCES + "/{ref}")]
    ref: UUID
    name: str
    address: str
    entity: Entity
    format: ImportFormat
    mark_column: str | Absent
    mark: Annotated[dict[str, Any], "The greatest value, the last file, or the ETag."]
    schedule: str | Absent
    next_at: datetime | Absent
    latest_import: Annotated[UUID, "Ref of its last import."] | Absent
    read_at: datetime | Absent
    attempts: int
    error: ErrorText | Absent
    next_attempt_at: datetime | Absent
    created_at: datetime
    modified_at: datetime


@IMPORT_SOURCES.endpoint("GET", "", "List import sources", response=Items[ImportSource])
async def list_import_sources(work: Work, _: EndpointRequest) -> Record:
    """Return every import source, by name."""
    return {"items": [_record(row) for row in await import_sources.list_all(work)]}


@IMPORT_SOURCES.create(
    "",
    "Create an import source",
    request=CreateImportSourceRequest,
    response=ImportSource,
    failures=frozenset({409}),
)
async def create_import_source(work: Work, request: EndpointRequest) -> Record:
    """Create an import source, which reads public addresses and those that the operator lists."""
    values, problems = request.read_members(CreateImportSourceRequest)
    return _record(
        await import_sources.create(work, values, options_of(values, problems), problems)
    )


def options_of(values: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return the file options of a source; None where the request has `problems`."""
    if problems:
        return {}
    entity, document = values["entity"], values.get("mapping")
    mapping = None if document is None else mapping_of(entity, document)
    compressed = values.get("compressed") is True
    return Layout(entity, values["format"], compressed, mapping).file_options()


def changed_values(
    row: Record, body: Mapping[str, Any], problems: list[Problem]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values and file options of a stored source after the changes in `body`."""
    stored = {name: row[name] for name in ("name", "address", "entity", "mark_column", "schedule")}
    changes = present(read_members(ChangeImportSourceRequest, body, problems))
    values = {**stored, **row["file_options"], **changes}
    problems += CreateImportSourceRequest.check(values)
    return values, options_of(values, problems)


@IMPORT_SOURCES.endpoint(
    "GET", "/{source}", "Fetch an import source", response=ImportSource, has_etag=True
)
async def fetch_import_source(work: Work, request: EndpointRequest) -> Record:
    """Return one import source, by ref or name."""
    return _record(await import_sources.fetch(work, request.ref_or_text("source")))


@IMPORT_SOURCES.change(
    "/{source}",
    "Change an import source",
    request=ChangeImportSourceRequest,
    response=ImportSource,
    failures=frozenset({409}),
)
async def change_import_source(work: Work, request: EndpointRequest) -> Record:
    """Change members of an import source; with another address or mark column it starts again."""

    def read(row: Record, problems: list[Problem]) -> tuple[dict[str, Any], dict[str, Any]]:
        problems += request.problems
        return changed_values(row, request.body or {}, problems)

    source = request.ref_or_text("source")
    return _record(await import_sources.change(work, source, read, request.expected))


@IMPORT_SOURCES.endpoint(
    "POST",
    "/{source}/run",
    "Read an import source now",
    response=ImportSource,
    status=202,
    failures=frozenset({409}),
)
async def run_import_source(work: Work, request: EndpointRequest) -> Record:
    """Queue an import source to be read; 409 while it is read or its last import runs."""
    return _record(await import_sources.start(work, request.ref_or_text("source")))


@IMPORT_SOURCES.endpoint("DELETE", "/{source}", "Delete an import source", takes_version=True)
async def delete_import_source(work: Work, request: EndpointRequest) -> None:
    """Delete an import source; its imported records stay."""
    await import_sources.delete(work, request.ref_or_text("source"), request.expected)


def _record(row: Record) -> Record:
    return {**row, "format": row["file_options"]["format"], "latest_import": row["import_ref"]}
