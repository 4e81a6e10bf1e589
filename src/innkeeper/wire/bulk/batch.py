"""`/v2/batches`: create an upload, read its status, list uploads (batch-api.md 1 to 4)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.bulk import batches, signed_urls
from innkeeper.actions.paging import Page
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import Pattern, Schema, Whole
from innkeeper.resources.payload_kinds import one_of
from innkeeper.resources.payloads import Absent, Payload
from innkeeper.resources.values import NOT_VALID, instant, ref_in
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import Href, LongPaging, PageOf, Uri, page_record
from innkeeper.wire.schemas import TEXT

PATH: Final = "/v2/batches"
BATCHES: Final = EndpointFamily("Batch (v2)", PATH)
_DIGITS: Final = re.compile(r"[0-9]{1,15}", re.ASCII)

PLAIN: Final = {batches.FILE_UPLOADED: batches.PROCESSING}
"""Statuses of the plain endpoint in place of those that only inspect returns (batch-api.md 4)."""


@dataclass(frozen=True)
class Checksum(Pattern):
    """An MD5 in hexadecimal, stored in lower case."""

    expression: str = "[0-9a-f]{32}"
    reason: str = "must be the MD5 of the file in hexadecimal"

    def read(self, value: Any) -> str:
        return super().read(value.lower() if isinstance(value, str) else value)


@dataclass(frozen=True)
class ByteSize(Whole):
    """The size of a file, as a number or as digits in a string, which a widely used client sends
    (batch-api.md 2)."""

    least: int | None = 1

    def read(self, value: Any) -> int:
        is_text = isinstance(value, str) and _DIGITS.fullmatch(value)
        return super().read(int(value) if is_text else value)

    def schema(self) -> Schema:
        return {"anyOf": [super().schema(), TEXT]}


class SignedLink(Payload):
    """A URL for an upload or download without credentials, valid until it expires."""

    href: Uri
    expiry: datetime


class _Status(Payload):
    code: Annotated[str, one_of(*batches.STATES)]
    log: Uri | Absent


class Batch(Payload):
    """An upload and its status."""

    href: Annotated[str, Href(PATH + "/{ref}")]
    ref: UUID
    checksum: Annotated[str, Checksum()]
    size: int
    location: SignedLink | Absent
    status: _Status
    created_at: datetime
    modified_at: datetime


class InspectedBatch(Batch):
    """An upload and its detailed status."""

    total_records: int | Absent


class AllocateBatchRequest(Payload):
    """The file to upload."""

    checksum: Annotated[str, Checksum()]
    size: Annotated[int, ByteSize()]


@BATCHES.endpoint(
    "PUT",
    "/{batch}",
    "Create a batch and get its upload URL",
    request=AllocateBatchRequest,
    raises_later=True,
    response=Batch,
    failures=frozenset({409}),
)
async def allocate_batch(work: Work, request: EndpointRequest) -> Record:
    """Create a batch and return the URL for its upload; a repetition returns a new URL."""
    ref = ref_in(request.path["batch"])
    file, problems = request.read_members(AllocateBatchRequest)
    problems += [] if ref else [Problem("batchRef", NOT_VALID)]
    problems += size_problems(work, file.get("size"))
    if problems or ref is None:
        raise Invalid(*problems)
    batch = await batches.allocate(work, ref, **file)
    return await _with_links(work, batch, request.base, upload=True)


@BATCHES.endpoint("GET", "/{batch}", "Fetch the status of a batch", response=Batch)
async def fetch_batch(work: Work, request: EndpointRequest) -> Record:
    """Return the status, in the terms of the older endpoint."""
    batch = await _one(work, request)
    plain = {**batch, "state": PLAIN.get(batch["state"], batch["state"])}
    return await _with_links(work, plain, request.base)


@BATCHES.endpoint(
    "GET", "/inspect/{batch}", "Fetch the detailed status of a batch", response=InspectedBatch
)
async def inspect_batch(work: Work, request: EndpointRequest) -> Record:
    """Return the status, and the number of records read."""
    return await _with_links(work, await _one(work, request), request.base)


class InspectBatchesParameters(LongPaging, kw_only=True):
    """Filters of the list of batches."""

    status: Annotated[str, "Statuses, separated by commas; none shows all."] = ""
    created_before: Annotated[datetime, "Only batches created before this instant."] | Absent
    created_after: Annotated[datetime, "Only batches created after this instant."] | Absent

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        if not {*filter(None, values.get("status", "").split(","))} <= {*batches.STATES}:
            yield Problem("status", f"value must be one of {','.join(batches.STATES)}")


@BATCHES.endpoint(
    "GET",
    "/inspect",
    "List batches",
    parameters=InspectBatchesParameters,
    response=PageOf[InspectedBatch],
)
async def inspect_batches(work: Work, request: EndpointRequest) -> Record:
    """Return a page of the stored uploads, newest first."""
    parameters: InspectBatchesParameters = request.parameters
    page = await batches.list_(
        work,
        parameters.page(),
        states=[*filter(None, parameters.status.split(","))],
        before=instant(parameters.created_before) if parameters.created_before else None,
        after=instant(parameters.created_after) if parameters.created_after else None,
    )
    items = [await _with_links(work, batch, request.base) for batch in page.items]
    return page_record(request, Page(items, page.total), page_first=True)


async def _one(work: Work, request: EndpointRequest) -> Record:
    ref: UUID = request.refs()["batch"]
    batch = await batches.fetch(work, ref)
    if batch["entity"] != "batch":
        raise batches.unknown_batch(ref)
    return batch


def size_problems(work: Work, size: int | None) -> list[Problem]:
    """Return the problem of a file that is larger than an upload may be."""
    most = work.settings.max_upload_bytes
    is_too_large = size is not None and size > most
    return [Problem("size", f"must be less than or equal to {most}")] if is_too_large else []


async def _with_links(work: Work, batch: Record, base: str, *, upload: bool = False) -> Record:
    """Return a batch with its status and the links of its file and its log."""
    status: Record = {"code": batch["state"]}
    if batch["state"] == batches.ERROR and batch["failed"]:
        status["log"] = await log_link(work, batch["ref"], base)
    out = {**batch, "status": status, "total_records": batch["records"]}
    if upload or batch["state"] == batches.UPLOADING:
        out["location"] = await upload_link(work, batch["ref"], base)
    return out


async def upload_link(work: Work, batch: UUID, base: str) -> Record:
    """Return the URL for the upload of a batch or import."""
    path = f"{signed_urls.PREFIX}/{work.workspace}/{batch}/import.gz"
    signed = await signed_urls.sign(work, "PUT", path)
    return {**signed, "href": base + signed["href"]}


async def rejects_link(work: Work, batch: UUID, base: str) -> str:
    """The URL of the rows that an import refused."""
    path = f"{signed_urls.PREFIX}/{work.workspace}/{batch}/rejects.csv"
    return base + str((await signed_urls.sign(work, "GET", path))["href"])


async def log_link(work: Work, batch: UUID, base: str) -> str:
    """Return the URL of the log of failed records."""
    path = f"{signed_urls.PREFIX}/{work.workspace}/{batch}/log.gz"
    return base + str((await signed_urls.sign(work, "GET", path))["href"])
