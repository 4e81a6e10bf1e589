"""Merges and explanations of guests over HTTP: `/innkeeper/v1/merges`, `/guests/…/identity`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.identity import merges
from innkeeper.actions.paging import Page
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import Schema
from innkeeper.resources.payload_kinds import Ref
from innkeeper.resources.payloads import Absent, Payload
from innkeeper.rules.scopes import READ_PERSONAL, WRITE_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import Actor, FieldName, GuestLink, Href, PageOf, Paging
from innkeeper.wire.schemas import REF, REFERENCE

PATH: Final = "/innkeeper/v1"
TAG: Final = "Identity (innkeeper)"
MERGES: Final = EndpointFamily(TAG, PATH, scopes=READ_PERSONAL)


class EvidenceItem(Payload):
    """A matched condition."""

    schema_name = "Evidence"

    provider: str | Absent
    field: Annotated[str, FieldName()] | Absent
    value: str


class Merge(Payload):
    """A merge: a row of the ledger."""

    ref: UUID
    href: Annotated[str, Href(PATH + "/merges/{ref}")]
    survivor: GuestLink
    absorbed: GuestLink
    rule: str | Absent
    evidence: list[EvidenceItem]
    source: str
    actor: Annotated[str, Actor()]
    merged_at: datetime
    undone_at: datetime | Absent
    undone_by: Annotated[str, Actor()] | Absent


class JoinedRecord(Payload):
    """A record that created a guest or was attached to it."""

    guest: GuestLink
    rule: str | Absent
    evidence: list[EvidenceItem]
    source: str
    source_ref: str | Absent
    actor: Annotated[str, Actor()] | Absent
    joined_at: datetime


class _Explanation(Payload):
    guest: GuestLink
    guests: list[GuestLink]
    merges: list[Merge]
    joined: list[JoinedRecord]


@MERGES.endpoint(
    "GET",
    "/guests/{guest}/identity",
    "Explain which records and merges make up a guest",
    response=_Explanation,
)
async def explain_guest(work: Work, request: EndpointRequest) -> Record:
    """Return the merges in force, and every record that was attached to a guest."""
    return await merges.explain(work, **request.refs())


class _HistoryEvent(Payload):
    event: str
    at: datetime
    by: Annotated[str, Actor()]
    merge: Merge | Absent


@MERGES.endpoint(
    "GET",
    "/guests/{guest}/identity/history",
    "List merges and undos of a guest",
    response=list[_HistoryEvent],
)
async def list_guest_history(work: Work, request: EndpointRequest) -> list[Record]:
    """Return every merge and undo of a guest, oldest first."""
    return await merges.history(work, **request.refs())


class ListMergesParameters(Paging, kw_only=True):
    """Filters of the list of merges."""

    guest_ref: Annotated[UUID, "Only merges of this guest."] | Absent


@MERGES.endpoint(
    "GET", "/merges", "List merges", parameters=ListMergesParameters, response=PageOf[Merge]
)
async def list_merges(work: Work, request: EndpointRequest) -> Page:
    """Return merges, including undone ones, newest first."""
    parameters: ListMergesParameters = request.parameters
    return await merges.list_(work, parameters.page(), parameters.guest_ref or None)


@dataclass(frozen=True)
class GuestReferenceOrRef(Ref):
    """A guest: its ref, or an object with the ref."""

    def read(self, value: Any) -> UUID:
        return super().read(value.get("ref") if isinstance(value, Mapping) else value)

    def schema(self) -> Schema:
        return {"anyOf": [REF, REFERENCE]}


class CreateMergeRequest(Payload):
    """The guests to merge."""

    survivor: Annotated[UUID, GuestReferenceOrRef()]
    absorbed: Annotated[UUID, GuestReferenceOrRef()]


@MERGES.endpoint(
    "POST",
    "/merges",
    "Merge two guests",
    request=CreateMergeRequest,
    response=Merge,
    status=201,
    scopes=frozenset(),
)
async def create_merge(work: Work, request: EndpointRequest) -> Record:
    """Merge two guests."""
    pair: CreateMergeRequest = request.payload
    return await merges.create(work, pair.survivor, pair.absorbed)


@MERGES.endpoint("GET", "/merges/{merge}", "Fetch a merge", response=Merge)
async def fetch_merge(work: Work, request: EndpointRequest) -> Record:
    """Return one merge."""
    return await merges.fetch(work, **request.refs())


@MERGES.endpoint(
    "POST", "/merges/{merge}/undo", "Undo a merge", response=Merge, scopes=WRITE_PERSONAL
)
async def undo_merge(work: Work, request: EndpointRequest) -> Record:
    """Undo a merge."""
    return await merges.undo(work, **request.refs())
