"""`/innkeeper/v1/imports` and `/fileExports`: files of records over HTTP, as jobs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.bulk import batches, file_exports, imports, signed_urls, undo
from innkeeper.actions.paging import Page
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.payload_kinds import one_of
from innkeeper.resources.payloads import ABSENT, Absent, JsonOf, Payload
from innkeeper.rules.scopes import READ_PERSONAL, Scope
from innkeeper.store.readers import GZIP, ZSTD
from innkeeper.store.work import Work
from innkeeper.wire.bulk.batch import (
    ByteSize,
    Checksum,
    SignedLink,
    log_link,
    rejects_link,
    size_problems,
    upload_link,
)
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.file_formats import FORMATS, IMPORT_FORMATS, PACKED
from innkeeper.wire.bulk.mapping import mapping_of
from innkeeper.wire.bulk.mapping_document import ImportMapping, read_document
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import ErrorText, Href, LongPaging, Uri, WindowOf, page_record

IMPORTS: Final = "/innkeeper/v1/imports"
EXPORTS: Final = "/innkeeper/v1/fileExports"
FILES: Final = EndpointFamily("Files", "")
Entity = Annotated[str, one_of("guests", "orders", "events")]
_Format = Annotated[str, one_of(*FORMATS)]
ImportFormat = Annotated[str, one_of(*IMPORT_FORMATS)]


class FileRequest(Payload):
    """The entity of the records of a file, and the format of the file."""

    entity: Entity
    format: _Format = "ndjson"
    compressed: bool | Absent = ABSENT

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        if values.get("format") in PACKED and values.get("compressed"):
            yield Problem("compressed", f"a {values['format']} file is compressed by itself")


class CreateFileExportRequest(FileRequest):
    """The entity of the records of a file, and the format of the file."""

    compression: Annotated[str, one_of(GZIP, ZSTD), "gzip where it is absent."] | Absent = ABSENT

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        yield from super().check(values)
        is_plain = values.get("format") in PACKED or values.get("compressed") is False
        if is_plain and values.get("compression") not in (None, ABSENT):
            yield Problem("compression", "is only for a file that is compressed")


class ImportedFileRequest(FileRequest):
    """A file of records, and the mapping of its columns to fields."""

    format: ImportFormat = "ndjson"
    mapping: Annotated[Record | None, JsonOf(ImportMapping)] = None

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        yield from super().check(values)
        if values.get("mapping") is not None:
            for problem in read_document(values.get("entity"), values["mapping"])[1]:
                at = f"mapping.{problem.field}".rstrip(".")
                yield replace(problem, field=at)


class CreateImportRequest(ImportedFileRequest):
    """A file of records, and the mapping of its columns to fields."""

    dry_run: bool = False
    checksum: Annotated[str | None, Checksum()] = None
    size: Annotated[int | None, ByteSize()] = None


class Import(Payload):
    """An import and its status."""

    href: Annotated[str, Href(IMPORTS + "/{ref}")]
    ref: UUID
    entity: Annotated[str, one_of("guests", "orders", "events", batches.SITECORE)]
    format: ImportFormat
    compressed: bool | Absent
    dry_run: bool | Absent
    status: Annotated[str, one_of(*batches.STATES)]
    records: int
    outcomes: dict[str, int] | Absent
    failed: int
    location: SignedLink | Absent
    left_out: Annotated[
        dict[str, int] | Absent, "Why cells were left out of imported rows -> cells."
    ]
    log: Uri | Absent
    rejects: Annotated[
        Uri | Absent, "The rows that were refused, as CSV with the reason, to correct and import."
    ]
    fault: ErrorText | Absent
    created_at: datetime | Absent
    modified_at: datetime | Absent


class UndoImportRequest(Payload):
    """Whether the undo skips records that something later depends on; otherwise it is refused."""

    skip_changed: bool = False


class BlockedRecord(Payload):
    """A guest or order that something later depends on."""

    of: Annotated[str, one_of("guests", "orders")]
    ref: UUID
    reason: str


class ImportUndo(Payload):
    """The undo of an import: its preview, its progress or its result."""

    href: Annotated[str, Href(IMPORTS + "/{ref}/undo")]
    status: Annotated[str, one_of("possible", *undo.STATES)]
    removed: dict[str, int]
    restored: dict[str, int]
    blocked: dict[str, int]
    examples: list[BlockedRecord]
    lists: Annotated[dict[str, int], "Static lists, and how many removed guests are on each."]
    not_undone: Annotated[
        dict[str, int], "What stays: records that deleted or merged, and settings."
    ]
    complete: bool
    skip_changed: bool | Absent
    requested_at: str | Absent
    finished_at: str | Absent


class FileExport(Payload):
    """An export to a file and its status."""

    href: Annotated[str, Href(EXPORTS + "/{ref}")]
    ref: UUID
    entity: Entity
    format: _Format
    compressed: bool | Absent
    compression: Annotated[str, one_of(GZIP, ZSTD)] | Absent
    status: Annotated[str, one_of("waiting", "writing", "done", "failed", "removed")]
    records: int
    size: int | Absent
    fault: ErrorText | Absent
    attempts: int | Absent
    next_attempt_at: datetime | Absent
    location: SignedLink | Absent
    created_at: datetime | Absent
    expires_at: datetime | Absent


@FILES.endpoint(
    "POST",
    IMPORTS,
    "Create an import and get its upload URL",
    request=CreateImportRequest,
    raises_later=True,
    response=Import,
    status=201,
)
async def create_import(work: Work, request: EndpointRequest) -> Record:
    """Create an import; the response has the URL for the upload."""
    values, problems = request.read_members(CreateImportRequest)
    problems += size_problems(work, values.get("size"))
    if problems:
        raise Invalid(*problems)
    new = CreateImportRequest(**values)
    mapping = None if new.mapping is None else mapping_of(new.entity, new.mapping)
    layout = Layout(new.entity, new.format, _is_compressed(new), mapping)
    entity: Any = new.entity
    created = await imports.create(
        work, entity, layout.file_options(), new.checksum, new.size, dry_run=new.dry_run
    )
    return await _import(work, created, request)


def _is_compressed(new: FileRequest) -> bool:
    return new.format not in PACKED if new.compressed is ABSENT else bool(new.compressed)


@FILES.endpoint("GET", IMPORTS, "List imports", parameters=LongPaging, response=WindowOf[Import])
async def list_imports(work: Work, request: EndpointRequest) -> Record:
    """Return a page of imports, newest first."""
    page = await batches.list_(work, request.parameters.page(), envelopes=False)
    items = [await _import(work, one, request) for one in page.items]
    return page_record(request, Page(items, page.total))


@FILES.endpoint("GET", IMPORTS + "/{import}", "Fetch an import", response=Import)
async def fetch_import(work: Work, request: EndpointRequest) -> Record:
    """Return the status of an import."""
    return await _import(work, await imports.fetch(work, request.refs()["import"]), request)


@FILES.endpoint(
    "GET", IMPORTS + "/{import}/undo", "Preview the undo of an import", response=ImportUndo
)
async def preview_import_undo(work: Work, request: EndpointRequest) -> Record:
    """Return the preview of the undo of an import, or the progress of a requested one."""
    return _undo(await undo.describe(work, request.refs()["import"]))


@FILES.endpoint(
    "POST",
    IMPORTS + "/{import}/undo",
    "Undo an import",
    request=UndoImportRequest,
    response=ImportUndo,
    scopes=frozenset({Scope.WRITE, Scope.DELETE}),
    own_transactions=True,
)
async def undo_import(work: Work, request: EndpointRequest) -> Record:
    """Queue the undo of an import."""
    ref, skip_changed = request.refs()["import"], request.payload.skip_changed
    await undo.request(work, ref, skip_changed=skip_changed)
    return _undo(await undo.describe(work, ref))


def _undo(undone: Record) -> Record:
    return {**undone, "status": undone["state"] or "possible"}


@FILES.endpoint(
    "POST",
    EXPORTS,
    "Export guests, orders or events to a file",
    request=CreateFileExportRequest,
    response=FileExport,
    status=201,
    scopes=READ_PERSONAL,
)
async def create_file_export(work: Work, request: EndpointRequest) -> Record:
    """Create an export, which is written in the background."""
    new: CreateFileExportRequest = request.payload
    entity: Any = new.entity
    chosen = GZIP if new.compression is ABSENT else new.compression
    compression = str(chosen) if _is_compressed(new) else ""
    created = await file_exports.create(work, entity, new.format, compression)
    return await _export(work, created, request.base)


@FILES.endpoint(
    "GET",
    EXPORTS,
    "List exports",
    parameters=LongPaging,
    response=WindowOf[FileExport],
    scopes=READ_PERSONAL,
)
async def list_file_exports(work: Work, request: EndpointRequest) -> Record:
    """Return a page of exports, newest first."""
    page = await file_exports.list_(work, request.parameters.page())
    items = [await _export(work, one, request.base) for one in page.items]
    return page_record(request, Page(items, page.total))


@FILES.endpoint(
    "GET", EXPORTS + "/{file_export}", "Fetch an export", response=FileExport, scopes=READ_PERSONAL
)
async def fetch_file_export(work: Work, request: EndpointRequest) -> Record:
    """Return an export, with the URL of its file once that is written."""
    export = await file_exports.fetch(work, request.refs()["file_export"])
    return await _export(work, export, request.base)


async def _import(work: Work, batch: Record, request: EndpointRequest) -> Record:
    """Return an import with the links of its file, its log and its refused rows."""
    base = request.base
    out = {
        **batch,
        "entity": batch["entity"],
        "format": batch["file_options"]["format"],
        "compressed": batch["file_options"]["compressed"],
        "dry_run": imports.is_dry_run(batch),
        "status": batch["state"],
        "fault": batch["fault"] or None,
        "left_out": batch["left_out"] or None,
    }
    if batch["state"] == batches.UPLOADING:
        out["location"] = await upload_link(work, batch["ref"], base)
    if batch["failed"]:
        out["log"] = await log_link(work, batch["ref"], base)
    if batch["has_rejects"] and request.personal:
        out["rejects"] = await rejects_link(work, batch["ref"], base)
    return out


async def _export(work: Work, export: Record, base: str) -> Record:
    """Return an export, with the link of its file once that is written."""
    is_retried = export["next_attempt_at"] is not None
    is_done = export["state"] == file_exports.DONE
    out = {
        **export,
        "status": export["state"],
        "compression": file_exports.compression_of(export) or None,
        "fault": export["fault"] or None,
        "attempts": export["attempts"] if is_retried else None,
        "size": export["size"] if is_done else None,
        "expires_at": export["expires_at"] if is_done else None,
    }
    if is_done:
        path = f"{signed_urls.PREFIX}/{work.workspace}/{export['ref']}/export"
        signed = await signed_urls.sign(work, "GET", path)
        out["location"] = {**signed, "href": base + signed["href"]}
    return out
