"""`/v2/batches`: allocate an upload, follow it, list uploads (batch-api.md 1 to 4)."""

import re
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.bulk import batches, signed_urls
from innkeeper.actions.paging import MAX_LIMIT
from innkeeper.errors import Invalid, Problem, missing
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import Schema
from innkeeper.resources.values import NOT_VALID, ValueRefused, instant, iso, ref_in
from innkeeper.store.work import Work
from innkeeper.wire import pagination
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse
from innkeeper.wire.schemas import (
    INSTANT,
    LOCATION,
    REF,
    TEXT,
    URL,
    WHOLE,
    an_object,
    named,
    one_of,
    page_of,
)

TAG: Final = "Batch (v2)"
PATH: Final = "/v2/batches"
_MD5: Final = re.compile(r"[0-9a-f]{32}")
_WHOLE: Final = re.compile(r"[0-9]{1,15}", re.ASCII)

PLAIN: Final = {batches.FILE_UPLOADED: batches.PROCESSING}
"""What the plain endpoint shows in place of what only inspect tells (batch-api.md 4)."""


async def allocate(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with where to upload; again for the same file, with a fresh link."""
    body = request.body or {}
    ref = ref_in(request.path["batch"])
    problems = [] if ref else [Problem("batchRef", NOT_VALID)]
    checksum = checksum_of(body.get("checksum"), problems)
    size = size_of(body.get("size"), work.settings.max_upload_bytes, problems)
    if problems or ref is None:
        raise Invalid(*problems)
    batch = await batches.allocate(work, ref, checksum=checksum, size=size)
    return EndpointResponse(await _represent(work, batch, request.base, upload=True))


async def fetch(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with the status, in the words of the older endpoint."""
    batch = await _one(work, request)
    plain = {**batch, "state": PLAIN.get(batch["state"], batch["state"])}
    return EndpointResponse(await _represent(work, plain, request.base))


async def inspect(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with the status, and how many records were read."""
    batch = await _one(work, request)
    return EndpointResponse(await _inspected(work, batch, request.base))


async def inspect_all(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with a page of the uploads that are remembered, newest first."""
    query, problems = request.query, list[Problem]()
    states = [word for word in query.get("status", "").split(",") if word]
    if not set(states) <= set(batches.STATES):
        problems.append(Problem("status", f"value must be one of {','.join(batches.STATES)}"))
    page_request = pagination.read_window(query, problems, MAX_LIMIT)
    window: dict[str, Any] = {}
    for name, bound in (("createdBefore", "before"), ("createdAfter", "after")):
        if query.get(name):
            try:
                window[bound] = instant(pagination.with_plus(query[name]))
            except ValueRefused as refused:
                problems.append(Problem(name, refused.reason))
    if problems:
        raise Invalid(*problems)
    page = await batches.list_(work, page_request, states=states, **window)
    items = [await _inspected(work, batch, request.base) for batch in page.items]
    parameters = [(name, query[name]) for name in _QUERY if name in query]
    url = f"{request.base}{PATH}/inspect"
    return EndpointResponse(
        pagination.page_body(url, parameters, page_request, page.total, items, page_first=True)
    )


async def _one(work: Work, request: EndpointRequest) -> Record:
    ref: UUID = request.refs()["batch"]
    batch = await batches.fetch(work, ref)
    if batch["holds"] != "batch":
        raise batches.unknown_batch(ref)
    return batch


def checksum_of(value: Any, problems: list[Problem]) -> str:
    """An MD5 in hexadecimal; problems are added."""
    if value is None:
        problems.append(missing("checksum"))
    elif not isinstance(value, str) or not _MD5.fullmatch(value.lower()):
        problems.append(Problem("checksum", "must be the MD5 of the file in hexadecimal"))
    else:
        return value.lower()
    return ""


def size_of(value: Any, most: int, problems: list[Problem]) -> int:
    """A whole number, or its text as a widely used client sends it (batch-api.md 2)."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if value is None:
        problems.append(missing("size"))
    elif not isinstance(value, int) or isinstance(value, bool):
        problems.append(Problem("size", "must be an integer"))
    elif not 0 < value <= most:
        problems.append(Problem("size", f"must be between 1 and {most}"))
    else:
        return value
    return 0


async def _represent(
    work: Work, batch: Record, base: str, *, upload: bool = False
) -> dict[str, Any]:
    ref = batch["ref"]
    status: dict[str, Any] = {"code": batch["state"]}
    if batch["state"] == batches.ERROR and batch["failed"]:
        status["log"] = await log_link(work, ref, base)
    out = {
        "href": f"{base}{PATH}/{ref}",
        "ref": ref,
        "checksum": batch["checksum"],
        "size": batch["size"],
        "status": status,
        "createdAt": iso(batch["created_at"]),
        "modifiedAt": iso(batch["modified_at"]),
    }
    if upload or batch["state"] == batches.UPLOADING:
        out["location"] = await upload_link(work, ref, base)
    return out


async def _inspected(work: Work, batch: Record, base: str) -> dict[str, Any]:
    return {**await _represent(work, batch, base), "totalRecords": batch["records"]}


async def upload_link(work: Work, batch: UUID, base: str) -> dict[str, str]:
    """Where the file of a batch or import is put: `href` and `expiry`."""
    path = f"{signed_urls.PREFIX}/{work.workspace}/{batch}/import.gz"
    signed = await signed_urls.sign(work, "PUT", path)
    return {"href": base + signed["href"], "expiry": iso(signed["expiry"])}


async def log_link(work: Work, batch: UUID, base: str) -> str:
    """Where what failed is fetched from."""
    path = f"{signed_urls.PREFIX}/{work.workspace}/{batch}/log.gz"
    return base + str((await signed_urls.sign(work, "GET", path))["href"])


_QUERY: Final = ("status", "createdBefore", "createdAfter")
_CHECKSUM: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_MEMBERS: Final[dict[str, Schema]] = {
    "href": URL,
    "ref": REF,
    "checksum": _CHECKSUM,
    "size": WHOLE,
    "location": LOCATION,
    "status": an_object(("code",), code=one_of(*batches.STATES), log=URL),
    "createdAt": INSTANT,
    "modifiedAt": INSTANT,
}
_REQUIRED: Final = ("href", "ref", "checksum", "size", "status", "createdAt", "modifiedAt")
_BATCH: Final = named("Batch", an_object(_REQUIRED, **_MEMBERS))
_INSPECTED: Final = named("InspectedBatch", an_object(_REQUIRED, **_MEMBERS, totalRecords=WHOLE))

BATCHES: Final = (
    Endpoint(
        method="PUT",
        path=PATH + "/{batch}",
        name="allocateBatch",
        summary="Allocate the upload of a batch",
        tag=TAG,
        perform=allocate,
        old_body={
            "type": "object",
            "properties": {
                "checksum": _CHECKSUM,
                "size": {"anyOf": [{"type": "integer", "minimum": 1}, TEXT]},
            },
            "required": ["checksum", "size"],
        },
        response_schema=_BATCH,
        failures=frozenset({409}),
    ),
    Endpoint(
        method="GET",
        path=PATH + "/{batch}",
        name="fetchBatch",
        summary="Fetch the status of a batch",
        tag=TAG,
        perform=fetch,
        response_schema=_BATCH,
    ),
    Endpoint(
        method="GET",
        path=PATH + "/inspect/{batch}",
        name="inspectBatch",
        summary="Fetch the exact status of a batch",
        tag=TAG,
        perform=inspect,
        response_schema=_INSPECTED,
    ),
    Endpoint(
        method="GET",
        path=PATH + "/inspect",
        name="inspectBatches",
        summary="List batches",
        tag=TAG,
        perform=inspect_all,
        response_schema=page_of(_INSPECTED),
        old_query={
            "status": "Statuses, separated by commas; none shows all.",
            "createdBefore": "Only those allocated before this instant.",
            "createdAfter": "Only those allocated after this instant.",
            "offset": "Items to skip.",
            "limit": "Items on the page; more than 100 is cut to 100.",
        },
        failures=frozenset({400}),
    ),
)
