"""Audience exports over HTTP: the vendor's three operations, and ours under /innkeeper/v1."""

import math
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from innkeeper.actions.admin.stored_secrets import webhook_secret
from innkeeper.actions.audiences import audience_exports
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import (
    ChangeExportRequest,
    CreateExportRequest,
    ExportDestination,
    SegmentDefinition,
)
from innkeeper.resources.exports import (
    CHANNELS,
    CONSENT_CHOICES,
    DELIMITERS,
    DELTA,
    FORMATS,
    FULL_SYNC,
)
from innkeeper.resources.payload_kinds import one_of
from innkeeper.resources.payloads import ABSENT, Absent, Payload
from innkeeper.rules.scopes import READ_PERSONAL, WRITE_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.audiences.early_checks import check_sql
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import DefinitionOf, ErrorText, Href, Items, Uri

OWN: Final = "/innkeeper/v1/exports"
TAG: Final = "Audience exports"
EXPORTS: Final = EndpointFamily(TAG, "/v2/audienceExports", bearer=True)
"""An execution in the responses A1 to A3 (rest-v2.1.md 10)."""
OWN_EXPORTS: Final = EndpointFamily(TAG, OWN)


class _ExportFile(Payload):
    url: Uri
    size_kb: int = msgspec.field(name="sizeKB")
    delta_action: Annotated[str | Absent, one_of("add", "remove")] = ABSENT
    mapping: (
        Annotated[Uri, "Of a guarded export: the column mapping for importing the file."] | Absent
    ) = ABSENT


class ExportListing(Payload, kw_only=True):
    """The files of an execution, with links that need no credentials."""

    execution_ref: UUID
    definition_ref: UUID
    audience_export_ref: UUID
    friendly_id: str
    client_key: str
    expire_at: datetime
    number_of_files: int
    total_size_kb: int = msgspec.field(name="totalSizeKB")
    exports: list[_ExportFile]


class _ErrorCount(Payload):
    description: str
    count: int


class ExportReport(Payload):
    """An execution in the vendor's form."""

    client_key: str
    execution_ref: UUID
    definition_ref: UUID
    friendly_id: str
    execution_type: str
    definition_type: str
    segment_execution_type: str
    status: str
    total: int | None
    filter_matched_guests: int | None
    filter_not_matched_guests: int | None
    filter_failures: int | None
    successes: int | None
    failures: int | None
    success_add: int | None
    success_remove: int | None
    programmable_errors: list[_ErrorCount]
    filter_errors: list[_ErrorCount]
    error_logs: list[str]
    dataset_date: datetime | None
    start_time: datetime | None
    end_time: datetime | None


class LeftOut(Payload):
    """Guests that an execution left out as unsubscribed."""

    channel: Annotated[str, one_of(*CHANNELS)]
    field: str
    guests: int


class ExportExecution(ExportReport):
    """An execution with its attempts and its delivery."""

    attempts: int
    error: ErrorText | None
    next_attempt_at: datetime | None
    snapshot: str | None
    unsubscribed: Annotated[int, "Guests left out as unsubscribed."]
    left_out: Annotated[list[LeftOut], "The same by the field that decided."]
    delivered_at: datetime | None
    delivery_attempts: int
    delivery_error: str | None
    delivery_next_at: datetime | None


class AudienceExport(Payload):
    """An audience export."""

    ref: UUID
    href: Annotated[str, Href(OWN + "/{ref}")]
    name: str
    friendly_id: str
    segment: Annotated[UUID, "Ref of its segment; absent once that is deleted."] | Absent
    static_list: Annotated[UUID, "Ref of its static list, instead of a segment."] | Absent
    definition_type: Annotated[str, one_of(FULL_SYNC, DELTA)]
    format: Annotated[str | Absent, one_of(*FORMATS)]
    columns: list[str] | Absent
    template: dict[str, Any] | Absent
    delimiter: Annotated[str | Absent, one_of(*DELIMITERS)]
    header: bool | Absent
    quote: bool | Absent
    guarded: bool | Absent
    bom: bool | Absent
    consent: Annotated[str | Absent, one_of(*CONSENT_CHOICES)]
    filter: Annotated[Any | Absent, DefinitionOf(SegmentDefinition)]
    schedule: str | Absent
    destination: ExportDestination | Absent
    webhook: Uri | Absent
    next_at: datetime | Absent
    modified_at: datetime | Absent
    webhook_secret: Annotated[str, "Shown once, by create."] | Absent


@EXPORTS.endpoint(
    "GET",
    "/definitions/{export}/latestExport",
    "List the files of the last successful execution",
    response=ExportListing,
)
async def fetch_latest_export(work: Work, request: EndpointRequest) -> Record:
    """Return the files of the last successful execution (A1)."""
    run = await audience_exports.fetch_latest(work, request.ref_or_text("export"))
    return _listing(run, work, request.base)


@EXPORTS.endpoint(
    "GET", "/definitions/{export}/reports", "List finished executions", response=list[ExportReport]
)
async def list_export_reports(work: Work, request: EndpointRequest) -> list[Record]:
    """Return the finished executions as a bare array (A2)."""
    row, executions = await audience_exports.list_finished(work, request.ref_or_text("export"))
    return [_report(row, execution, work) for execution in executions]


@OWN_EXPORTS.endpoint("GET", "", "List exports", response=Items[AudienceExport])
async def list_exports(work: Work, _: EndpointRequest) -> Record:
    """Return every export."""
    return {"items": [_record(row) for row in await audience_exports.list_all(work)]}


@OWN_EXPORTS.create(
    "",
    "Create an export",
    before=check_sql("filter"),
    request=CreateExportRequest,
    response=AudienceExport,
    scopes=WRITE_PERSONAL,
)
async def create_export(work: Work, request: EndpointRequest) -> Record:
    """Create an export. Only this response contains the secret that signs its messages."""
    row = await audience_exports.create(work, request.body or {}, request.problems)
    stored = row["webhook_secret"]
    return _record(row, webhook_secret(work.settings, stored) if stored else None)


@OWN_EXPORTS.endpoint("GET", "/{export}", "Fetch an export", response=AudienceExport, has_etag=True)
async def fetch_export(work: Work, request: EndpointRequest) -> Record:
    """Return one export."""
    return _record(await audience_exports.fetch(work, request.ref_or_text("export")))


@OWN_EXPORTS.change(
    "/{export}",
    "Change an export",
    before=check_sql("filter"),
    request=ChangeExportRequest,
    response=AudienceExport,
    scopes=WRITE_PERSONAL,
)
async def change_export(work: Work, request: EndpointRequest) -> Record:
    """Change members of an export; null clears one."""
    export, body = request.ref_or_text("export"), request.body or {}
    return _record(
        await audience_exports.change(work, export, body, request.expected, request.problems)
    )


@OWN_EXPORTS.endpoint("DELETE", "/{export}", "Delete an export", takes_version=True)
async def delete_export(work: Work, request: EndpointRequest) -> None:
    """Delete an export with its files."""
    await audience_exports.delete(work, request.ref_or_text("export"), request.expected)


@OWN_EXPORTS.endpoint(
    "POST",
    "/{export}/run",
    "Run an export now",
    response=ExportReport,
    status=202,
    scopes=WRITE_PERSONAL,
)
async def run_export(work: Work, request: EndpointRequest) -> Record:
    """Start an execution, which runs in the background."""
    execution = await audience_exports.start(work, request.ref_or_text("export"))
    row = await audience_exports.fetch(work, execution["export_ref"])
    return _report(row, execution, work)


@OWN_EXPORTS.endpoint(
    "GET",
    "/{export}/executions",
    "List the executions of an export",
    response=Items[ExportExecution],
)
async def list_export_executions(work: Work, request: EndpointRequest) -> Record:
    """Return every execution with its delivery, newest first."""
    row, every = await audience_exports.list_executions(work, request.ref_or_text("export"))
    return {"items": [{**each, **_report(row, each, work)} for each in every]}


@EXPORTS.endpoint(
    "GET",
    "/executions/{execution}/export",
    "List the files of an execution",
    name="fetchExecutionExport",
    response=ExportListing,
)
@OWN_EXPORTS.endpoint(
    "GET",
    "/executions/{execution}/files",
    "List the files of an execution",
    response=ExportListing,
    scopes=READ_PERSONAL,
)
async def list_export_files(work: Work, request: EndpointRequest) -> Record:
    """Return the files of an execution (A3), for OAuth clients and for API keys."""
    execution: UUID = request.refs()["execution"]
    run = await audience_exports.fetch_listing(work, execution)
    return _listing(run, work, request.base)


def _record(row: Record, secret: str | None = None) -> Record:
    """Return an export with the settings of its files, and without its stored secret."""
    return {**row, **row["shape"], "webhook_secret": secret}


def _listing(run: Record, work: Work, base: str) -> Record:
    row, execution = run["export"], run["execution"]
    sizes = [max(1, math.ceil(file["bytes"] / 1024)) for file in run["files"]]
    files = [
        {
            "url": base + file["href"],
            "size_kb": size,
            "delta_action": file["delta_action"],
            "mapping": file["mapping"] and base + file["mapping"],
        }
        for file, size in zip(run["files"], sizes, strict=True)
    ]
    return {
        "execution_ref": execution["ref"],
        "definition_ref": row["ref"],
        "audience_export_ref": row["ref"],
        "friendly_id": row["friendly_id"],
        "client_key": work.actor,
        "expire_at": run["expire_at"],
        "number_of_files": len(files),
        "total_size_kb": sum(sizes),
        "exports": files,
    }


def _report(row: Record, execution: Record, work: Work) -> Record:
    is_delta = execution["definition_type"] == DELTA
    return {
        **execution,
        "client_key": work.actor,
        "execution_ref": execution["ref"],
        "definition_ref": row["ref"],
        "friendly_id": row["friendly_id"],
        "filter_matched_guests": execution["matched"],
        "filter_not_matched_guests": execution["not_matched"],
        "filter_failures": 0,
        "successes": execution["total"],
        "failures": 0 if execution["status"] == "SUCCESS" else execution["total"],
        "success_add": execution["added"] if is_delta else 0,
        "success_remove": execution["removed"],
        "programmable_errors": [],
        "filter_errors": [],
        "error_logs": execution["errors"],
        "dataset_date": execution["dataset_at"],
        "start_time": execution["started_at"],
        "end_time": execution["finished_at"],
    }
