"""`/innkeeper/v1/imports` and `/exports`: files of records over HTTP, as jobs."""

from collections.abc import Mapping
from typing import Any, Final

from innkeeper.actions.bulk import batches, file_exports, imports, signed_urls
from innkeeper.actions.paging import MAX_LIMIT, Page, PageRequest
from innkeeper.errors import Invalid, Problem
from innkeeper.resources import definitions
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import Schema
from innkeeper.resources.values import iso
from innkeeper.store.work import Work
from innkeeper.wire import pagination
from innkeeper.wire.bulk.batch import checksum_of, log_link, size_of, upload_link
from innkeeper.wire.bulk.batch_files import FORMATS, Layout
from innkeeper.wire.bulk.mapping import mapping_faults, mapping_of
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse
from innkeeper.wire.schemas import (
    COUNTS,
    FLAG,
    INSTANT,
    LOCATION,
    PAGING,
    REF,
    TEXT,
    URL,
    WHOLE,
    an_object,
    array_of,
    named,
    one_of,
)

TAG: Final = "Files"
ENTITIES: Final = ("guests", "orders", "events")
IMPORTS: Final = "/innkeeper/v1/imports"
EXPORTS: Final = "/innkeeper/v1/fileExports"


async def create_import(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with where to upload the file."""
    body = request.body or {}
    problems = [*request.problems]
    entity = _word(body, "entity", ENTITIES, None, problems)
    form = _word(body, "format", FORMATS, "ndjson", problems)
    compressed = _flag(body, "compressed", form != "parquet", problems)
    if form == "parquet" and compressed:
        problems.append(Problem("compressed", "a Parquet file is compressed by itself"))
    dry_run = _flag(body, "dryRun", False, problems)
    checksum = size = None
    if body.get("checksum") is not None:
        checksum = checksum_of(body["checksum"], problems)
    if body.get("size") is not None:
        size = size_of(body["size"], work.settings.max_upload_bytes, problems)
    column_mapping = body.get("mapping")
    if column_mapping is not None and not isinstance(column_mapping, dict):
        problems.append(Problem("mapping", "must be an object"))
    elif column_mapping is not None and entity:
        problems += [Problem("mapping", fault) for fault in mapping_faults(entity, column_mapping)]
    if problems:
        raise Invalid(*problems)
    mapping = None if column_mapping is None else mapping_of(entity, column_mapping)
    layout = Layout(entity, form, compressed, mapping)
    holds: Any = entity
    made = await imports.create(work, holds, layout.about(), checksum, size, dry_run=dry_run)
    represented = await _import(work, made, request.base)
    return EndpointResponse(represented, 201, represented["href"])


async def fetch_import(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with how far an import is."""
    return EndpointResponse(
        await _import(work, await imports.fetch(work, request.refs()["import"]), request.base)
    )


async def list_imports(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with a page of imports, newest first."""
    page_request = pagination.page_request_of(request.query, default_limit=MAX_LIMIT)
    page = await batches.list_(work, page_request, envelopes=False)
    items = [await _import(work, one, request.base) for one in page.items]
    return _page(page_request, page, items)


async def create_export(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with the export, which is written in the background."""
    body = request.body or {}
    problems = [*request.problems]
    entity: Any = _word(body, "entity", ENTITIES, None, problems)
    form = _word(body, "format", FORMATS, "ndjson", problems)
    compressed = _flag(body, "compressed", form != "parquet", problems)
    if problems:
        raise Invalid(*problems)
    made = await file_exports.create(work, entity, form, compressed=compressed)
    represented = await _export(work, made, request.base)
    return EndpointResponse(represented, 201, represented["href"])


async def fetch_export(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with an export, and once it is written where to fetch it."""
    export = await file_exports.fetch(work, request.refs()["file_export"])
    return EndpointResponse(await _export(work, export, request.base))


async def list_exports(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with a page of exports, newest first."""
    page_request = pagination.page_request_of(request.query, default_limit=MAX_LIMIT)
    page = await file_exports.list_(work, page_request)
    items = [await _export(work, one, request.base) for one in page.items]
    return _page(page_request, page, items)


def _page(page_request: PageRequest, page: Page, items: list[dict[str, Any]]) -> EndpointResponse:
    window = {"offset": page_request.offset, "limit": page_request.limit}
    return EndpointResponse({**window, "totalCount": page.total, "items": items})


async def _import(work: Work, batch: Record, base: str) -> dict[str, Any]:
    ref = batch["ref"]
    out: dict[str, Any] = {
        "href": f"{base}{IMPORTS}/{ref}",
        "ref": ref,
        "entity": batch["holds"],
        "format": batch["about"]["format"],
        "compressed": batch["about"]["compressed"],
        "dryRun": imports.is_dry_run(batch),
        "status": batch["state"],
        "records": batch["records"],
        "outcomes": batch["outcomes"],
        "failed": batch["failed"],
        "createdAt": iso(batch["created_at"]),
        "modifiedAt": iso(batch["modified_at"]),
    }
    if batch["fault"]:
        out["fault"] = batch["fault"]
    if batch["state"] == batches.UPLOADING:
        out["location"] = await upload_link(work, ref, base)
    if batch["failed"]:
        out["log"] = await log_link(work, ref, base)
    return out


async def _export(work: Work, export: Record, base: str) -> dict[str, Any]:
    ref = export["ref"]
    out: dict[str, Any] = {
        "href": f"{base}{EXPORTS}/{ref}",
        "ref": ref,
        "entity": export["entity"],
        "format": export["format"],
        "compressed": export["compressed"],
        "status": export["state"],
        "records": export["records"],
        "createdAt": iso(export["created_at"]),
    }
    if export["fault"]:
        out["fault"] = export["fault"]
    if export["next_attempt_at"]:
        out["attempts"] = export["attempts"]
        out["nextAttemptAt"] = iso(export["next_attempt_at"])
    if export["state"] == file_exports.DONE:
        path = f"{signed_urls.PREFIX}/{work.workspace}/{ref}/export"
        signed = await signed_urls.sign(work, "GET", path)
        out["size"] = export["size"]
        out["location"] = {"href": base + signed["href"], "expiry": iso(signed["expiry"])}
        out["expiresAt"] = iso(export["expires_at"])
    return out


def _word(
    body: Mapping[str, Any],
    name: str,
    words: tuple[str, ...],
    default: str | None,
    problems: list[Problem],
) -> str:
    value = body.get(name, default)
    if value not in words:
        problems.append(Problem(name, f"value must be one of {','.join(words)}"))
        return ""
    return str(value)


def _flag(body: Mapping[str, Any], name: str, default: bool, problems: list[Problem]) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        problems.append(Problem(name, "must be a boolean"))
        return default
    return value


_ENTITY: Final = one_of(*ENTITIES)
_FORMAT: Final = one_of(*FORMATS)
_FILE: Final = {"entity": _ENTITY, "format": _FORMAT, "compressed": FLAG}
_IMPORT: Final = named(
    "Import",
    an_object(
        ("href", "ref", "entity", "format", "status", "records", "failed"),
        href=URL,
        ref=REF,
        **_FILE,
        dryRun=FLAG,
        status=one_of(*batches.STATES),
        records=WHOLE,
        outcomes=COUNTS,
        failed=WHOLE,
        location=LOCATION,
        log=URL,
        fault=TEXT,
        createdAt=INSTANT,
        modifiedAt=INSTANT,
    ),
)
_EXPORT: Final = named(
    "FileExport",
    an_object(
        ("href", "ref", "entity", "format", "status", "records"),
        href=URL,
        ref=REF,
        **_FILE,
        status=one_of("waiting", "writing", "done", "failed", "removed"),
        records=WHOLE,
        size=WHOLE,
        fault=TEXT,
        attempts=WHOLE,
        nextAttemptAt=INSTANT,
        location=LOCATION,
        createdAt=INSTANT,
        expiresAt=INSTANT,
    ),
)


def _paged(item: Schema) -> Schema:
    members = {"offset": WHOLE, "limit": WHOLE, "totalCount": WHOLE, "items": array_of(item)}
    return an_object(tuple(members), **members)


FILES: Final = (
    Endpoint(
        method="POST",
        path=IMPORTS,
        name="createImport",
        summary="Begin an import of a file",
        tag=TAG,
        perform=create_import,
        old_body=an_object(
            ("entity",),
            **_FILE,
            mapping=definitions.MAPPING,
            dryRun=FLAG,
            checksum=TEXT,
            size={"anyOf": [WHOLE, TEXT]},
        ),
        response_schema=_IMPORT,
        status=201,
    ),
    Endpoint(
        method="GET",
        path=IMPORTS,
        name="listImports",
        summary="List imports",
        tag=TAG,
        perform=list_imports,
        response_schema=_paged(_IMPORT),
        old_query=PAGING,
        failures=frozenset({400}),
    ),
    Endpoint(
        method="GET",
        path=IMPORTS + "/{import}",
        name="fetchImport",
        summary="Fetch an import",
        tag=TAG,
        perform=fetch_import,
        response_schema=_IMPORT,
    ),
    Endpoint(
        method="POST",
        path=EXPORTS,
        name="createFileExport",
        summary="Begin an export to a file",
        tag=TAG,
        perform=create_export,
        old_body=an_object(("entity",), **_FILE),
        response_schema=_EXPORT,
        status=201,
    ),
    Endpoint(
        method="GET",
        path=EXPORTS,
        name="listFileExports",
        summary="List exports",
        tag=TAG,
        perform=list_exports,
        response_schema=_paged(_EXPORT),
        old_query=PAGING,
        failures=frozenset({400}),
    ),
    Endpoint(
        method="GET",
        path=EXPORTS + "/{file_export}",
        name="fetchFileExport",
        summary="Fetch an export",
        tag=TAG,
        perform=fetch_export,
        response_schema=_EXPORT,
    ),
)
