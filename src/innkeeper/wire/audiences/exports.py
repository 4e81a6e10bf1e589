"""Audience exports as clients see them: the vendor's three reads, ours under /innkeeper/v1."""

import math
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.admin.stored_secrets import webhook_secret
from innkeeper.actions.audiences import audience_exports, segments
from innkeeper.resources import definitions
from innkeeper.resources.base import Record
from innkeeper.resources.exports import DELTA
from innkeeper.resources.kinds import Schema
from innkeeper.resources.values import iso, ref_in
from innkeeper.rules.personal import without_personal
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse
from innkeeper.wire.etags import etag_of
from innkeeper.wire.naming import camel
from innkeeper.wire.schemas import (
    INSTANT,
    REF,
    TEXT,
    TEXTS,
    URL,
    WHOLE,
    an_object,
    array_of,
    items_of,
    named,
    one_of,
    or_absent,
)

VENDOR: Final = "/v2/audienceExports"
OWN: Final = "/innkeeper/v1/exports"
TAG: Final = "Audience exports"


async def latest(work: Work, request: EndpointRequest) -> EndpointResponse:
    """A1."""
    return EndpointResponse(
        _listing(await audience_exports.fetch_latest(work, _export(request)), work, request.base)
    )


async def reports(work: Work, request: EndpointRequest) -> EndpointResponse:
    """A2: a bare array."""
    row, executions = await audience_exports.list_finished(work, _export(request))
    return EndpointResponse([_report(row, execution, work) for execution in executions])


async def one(work: Work, request: EndpointRequest) -> EndpointResponse:
    """A3."""
    execution: UUID = request.refs()["execution"]
    return EndpointResponse(
        _listing(await audience_exports.fetch_listing(work, execution), work, request.base)
    )


async def list_all(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Every export."""
    rows = await audience_exports.list_all(work)
    return EndpointResponse({"items": [_seen(row, request) for row in rows]})


async def check_early(request: EndpointRequest) -> None:
    """Check the SQL of a filter before a connection is taken."""
    await segments.check_sql_early((request.body or {}).get("filter"))


def _seen(row: Record, request: EndpointRequest) -> dict[str, Any]:
    """An export as the caller may see it: without values of personal fields in its filter."""
    body = represent(row, request.base)
    return body if request.personal else without_personal(body)


async def create(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with the export, and the secret that its messages are signed with, once."""
    row = await audience_exports.create(work, request.body or {}, request.problems)
    body = represent(row, request.base)
    if row["webhook_secret"]:
        body["webhookSecret"] = webhook_secret(work.settings, row["webhook_secret"])
    return EndpointResponse(body, 201, body["href"], etag=etag_of(row))


async def fetch(work: Work, request: EndpointRequest) -> EndpointResponse:
    """One export."""
    row = await audience_exports.fetch(work, _export(request))
    return EndpointResponse(_seen(row, request), etag=etag_of(row))


async def change(work: Work, request: EndpointRequest) -> EndpointResponse:
    """The export as it is then; members that are not sent stay, null clears one."""
    row = await audience_exports.change(
        work, _export(request), request.body or {}, request.expected, request.problems
    )
    return EndpointResponse(represent(row, request.base), etag=etag_of(row))


async def delete(work: Work, request: EndpointRequest) -> EndpointResponse:
    """204."""
    await audience_exports.delete(work, _export(request), request.expected)
    return EndpointResponse(status=204)


async def start(work: Work, request: EndpointRequest) -> EndpointResponse:
    """202 with the execution, which runs in the background."""
    execution = await audience_exports.start(work, _export(request))
    row = await audience_exports.fetch(work, execution["export_ref"])
    return EndpointResponse(_report(row, execution, work), 202)


_PROGRESS: Final = (
    *("attempts", "error", "next_attempt_at"),
    *("snapshot", "delivered_at", "delivery_attempts", "delivery_error", "delivery_next_at"),
)


async def executions(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Every execution with its delivery, newest first."""
    row, every = await audience_exports.list_executions(work, _export(request))
    items = []
    for execution in every:
        own = {camel(name): _plain(execution[name]) for name in _PROGRESS}
        items.append(_report(row, execution, work) | own)
    return EndpointResponse({"items": items})


async def files(work: Work, request: EndpointRequest) -> EndpointResponse:
    """The listing of one execution, for who has an API key."""
    execution: UUID = request.refs()["execution"]
    return EndpointResponse(
        _listing(await audience_exports.fetch_listing(work, execution), work, request.base)
    )


def represent(row: Record, base: str) -> dict[str, Any]:
    """An export."""
    item = {
        "ref": row["ref"],
        "href": f"{base}{OWN}/{row['ref']}",
        "friendlyId": row["friendly_id"],
        "name": row["name"],
        "segment": row["segment_ref"],
        "definitionType": row["definition_type"],
        **row["shape"],
        "schedule": row["schedule"],
        "nextAt": _plain(row["next_at"]),
        "destination": row["destination"],
        "webhook": row["webhook"],
        "modifiedAt": _plain(row["modified_at"]),
    }
    return {name: value for name, value in item.items() if value is not None}


def _listing(run: Record, work: Work, base: str) -> dict[str, Any]:
    row, execution = run["export"], run["execution"]
    sizes = [max(1, math.ceil(file["bytes"] / 1024)) for file in run["files"]]
    return {
        "executionRef": execution["ref"],
        "definitionRef": row["ref"],
        "audienceExportRef": row["ref"],
        "friendlyId": row["friendly_id"],
        "clientKey": work.actor,
        "expireAt": iso(run["expire_at"]),
        "numberOfFiles": len(run["files"]),
        "totalSizeKB": sum(sizes),
        "exports": [
            {"url": base + file["href"], "sizeKB": size}
            | ({"deltaAction": file["delta_action"]} if file["delta_action"] else {})
            | ({"mapping": base + file["mapping"]} if file["mapping"] else {})
            for file, size in zip(run["files"], sizes, strict=True)
        ],
    }


def _report(row: Record, execution: Record, work: Work) -> dict[str, Any]:
    delta = execution["definition_type"] == DELTA
    good = execution["status"] == "SUCCESS"
    return {
        "clientKey": work.actor,
        "executionRef": execution["ref"],
        "definitionRef": row["ref"],
        "friendlyId": row["friendly_id"],
        "executionType": execution["execution_type"],
        "definitionType": execution["definition_type"],
        "segmentExecutionType": execution["segment_execution_type"],
        "status": execution["status"],
        "total": execution["total"],
        "filterMatchedGuests": execution["matched"],
        "filterNotMatchedGuests": execution["not_matched"],
        "filterFailures": 0,
        "successes": execution["total"],
        "failures": 0 if good else execution["total"],
        "successAdd": execution["added"] if delta else 0,
        "successRemove": execution["removed"],
        "programmableErrors": [],
        "filterErrors": [],
        "errorLogs": execution["errors"],
        "datasetDate": _plain(execution["dataset_at"]),
        "startTime": _plain(execution["started_at"]),
        "endTime": _plain(execution["finished_at"]),
    }


def _plain(value: Any) -> Any:
    return iso(value) if hasattr(value, "tzinfo") else value


def _export(request: EndpointRequest) -> UUID | str:
    text = request.path["export"]
    return ref_in(text) or text


_FILE: Final = an_object(
    ("url", "sizeKB"),
    url=URL,
    sizeKB=WHOLE,
    deltaAction=one_of("add", "remove"),
    mapping={**URL, "description": "Of a guarded export: the mapping to import the file with."},
)
_LISTING: Final = named(
    "ExportListing",
    an_object(
        ("executionRef", "definitionRef", "friendlyId", "expireAt", "exports"),
        executionRef=REF,
        definitionRef=REF,
        audienceExportRef=REF,
        friendlyId=TEXT,
        clientKey=TEXT,
        expireAt=INSTANT,
        numberOfFiles=WHOLE,
        totalSizeKB=WHOLE,
        exports=array_of(_FILE),
    ),
)
_ERRORS: Final = array_of(an_object(("description", "count"), description=TEXT, count=WHOLE))
_REPORTED: Final[dict[str, Schema]] = {
    "clientKey": TEXT,
    "executionRef": REF,
    "definitionRef": REF,
    "friendlyId": TEXT,
    "executionType": TEXT,
    "definitionType": TEXT,
    "segmentExecutionType": TEXT,
    "status": TEXT,
    **dict.fromkeys(
        (
            *("total", "filterMatchedGuests", "filterNotMatchedGuests", "filterFailures"),
            *("successes", "failures", "successAdd", "successRemove"),
        ),
        or_absent(WHOLE),
    ),
    "programmableErrors": _ERRORS,
    "filterErrors": _ERRORS,
    "errorLogs": TEXTS,
    **dict.fromkeys(("datasetDate", "startTime", "endTime"), or_absent(INSTANT)),
}
_REPORT: Final = named("ExportReport", an_object(("executionRef", "status"), **_REPORTED))
_PROGRESS_SCHEMA: Final[dict[str, Schema]] = {
    "attempts": WHOLE,
    "error": or_absent(TEXT),
    "nextAttemptAt": or_absent(INSTANT),
    "snapshot": or_absent(TEXT),
    "deliveredAt": or_absent(INSTANT),
    "deliveryAttempts": WHOLE,
    "deliveryError": or_absent(TEXT),
    "deliveryNextAt": or_absent(INSTANT),
}
_EXECUTION: Final = named(
    "ExportExecution",
    an_object(("executionRef", "status"), **_REPORTED, **_PROGRESS_SCHEMA),
)
_EXPORT: Final = named(
    "AudienceExport",
    an_object(
        ("ref", "href", "friendlyId", "name", "definitionType"),
        ref=REF,
        href=URL,
        **definitions.EXPORT["properties"],
        nextAt=INSTANT,
        modifiedAt=INSTANT,
        webhookSecret={**TEXT, "description": "Shown once, by create."},
    ),
)
_NAMES: Final = {"export": "audienceExportRef", "execution": "jobExecutionRef"}


def _read(path: str, name: str, summary: str, perform: Any, schema: Schema) -> Endpoint:
    """One of the vendor's reads."""
    return Endpoint(
        method="GET",
        path=VENDOR + path,
        name=name,
        summary=summary,
        tag=TAG,
        perform=perform,
        response_schema=schema,
        path_names=_NAMES,
        bearer=True,
        failures=frozenset({400}) if perform is one else frozenset(),
    )


def _own(method: str, path: str, name: str, summary: str, perform: Any, **more: Any) -> Endpoint:
    return Endpoint(
        method=method,
        path=OWN + path,
        name=name,
        summary=summary,
        tag=TAG,
        perform=perform,
        path_names=_NAMES,
        **more,
    )


EXPORTS: Final = (
    _read(
        "/definitions/{export}/latestExport",
        "fetchLatestExport",
        "Files of the last good execution",
        latest,
        _LISTING,
    ),
    _read(
        "/definitions/{export}/reports",
        "listExportReports",
        "Finished executions",
        reports,
        array_of(_REPORT),
    ),
    _read(
        "/executions/{execution}/export",
        "fetchExecutionExport",
        "Files of one execution",
        one,
        _LISTING,
    ),
)
"""A1 to A3 (rest-v2.1.md 10)."""

OWN_EXPORTS: Final = (
    _own("GET", "", "listExports", "List exports", list_all, response_schema=items_of(_EXPORT)),
    _own(
        "POST",
        "",
        "createExport",
        "Create an export",
        create,
        before=check_early,
        old_body=definitions.EXPORT | {"required": ["name", "segment"]},
        response_schema=_EXPORT,
        status=201,
        has_etag=True,
    ),
    _own(
        "GET",
        "/{export}",
        "fetchExport",
        "Fetch an export",
        fetch,
        response_schema=_EXPORT,
        has_etag=True,
    ),
    _own(
        "PATCH",
        "/{export}",
        "changeExport",
        "Change an export",
        change,
        before=check_early,
        old_body=definitions.EXPORT,
        response_schema=_EXPORT,
        has_etag=True,
        takes_version=True,
    ),
    _own(
        "DELETE",
        "/{export}",
        "deleteExport",
        "Delete an export",
        delete,
        status=204,
        takes_version=True,
    ),
    _own(
        "POST", "/{export}/run", "runExport", "Run now", start, response_schema=_REPORT, status=202
    ),
    _own(
        "GET",
        "/{export}/executions",
        "listExportExecutions",
        "List executions",
        executions,
        response_schema=items_of(_EXECUTION),
    ),
    _own(
        "GET",
        "/executions/{execution}/files",
        "listExportFiles",
        "Files of one execution",
        files,
        response_schema=_LISTING,
        failures=frozenset({400}),
    ),
)
