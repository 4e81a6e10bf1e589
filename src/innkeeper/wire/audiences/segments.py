"""Segments over HTTP: the vendor's operations under /v4, and ours under /innkeeper/v1."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

from innkeeper.actions.admin.stored_secrets import webhook_secret
from innkeeper.actions.audiences import segment_catalogue, segment_questions, segment_runs, segments
from innkeeper.errors import Invalid
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import (
    ChangeSegmentRequest,
    CreateSegmentRequest,
    SegmentDefinition,
)
from innkeeper.resources.payload_kinds import one_of
from innkeeper.resources.payloads import Absent, JsonOf, Payload
from innkeeper.resources.values import whole_in
from innkeeper.rules.scopes import READ_PERSONAL, Scope
from innkeeper.rules.segment_matching import Decided, Verdict
from innkeeper.store.work import Work
from innkeeper.wire.audiences.early_checks import check_sql
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest, EndpointResponse
from innkeeper.wire.pagination import LIMIT, OFFSET
from innkeeper.wire.payloads import Actor, DefinitionOf, ErrorText, Href, Items, LinkTo, Paging, Uri
from innkeeper.wire.scopes import require_for_definition

V4: Final = "/v4/segmentDefinitions"
OWN: Final = "/innkeeper/v1/segments"
TAG: Final = "Segments"
SEGMENTS_V4: Final = EndpointFamily(TAG, V4)
"""The members that the vendor's clients read (segmentation-and-export.md 1.3)."""
OWN_SEGMENTS: Final = EndpointFamily(TAG, OWN)
MOST: Final = 10_000
_ONE: Final = "/{segment}"
_Definition = Annotated[Any, DefinitionOf(SegmentDefinition)]


class _SizeChange(Payload):
    guests: int
    share: float | Absent


class Segment(Payload):
    """A segment in the vendor's form (1.3), with our own members."""

    client_key: str
    href: Annotated[str, Href(V4 + "/{ref}")]
    ref: UUID
    name: str
    friendly_id: str
    status: Annotated[str, one_of("DRAFT", "PUBLISHING", "SCHEDULED", "LIVE", "PAUSED")]
    type: Annotated[str, one_of("BASIC", "ADVANCED")]
    tags: list[str] | Absent
    size: int | Absent
    last_run_at: datetime | Absent
    last_live_at: datetime | Absent
    sample: list[UUID] | Absent
    definition: _Definition
    executions: Annotated[Record, LinkTo(OWN + "/{ref}/runs")]
    revisions: Annotated[Record, LinkTo(OWN + "/{ref}/revisions")]
    revision: int | Absent
    archived: bool | Absent
    owner: Annotated[str | Absent, Actor()]
    modified_by_ref: Annotated[str | Absent, Actor()]
    modified_at: datetime | Absent
    created_at: datetime | Absent
    webhook: Uri | Absent
    share: float | Absent
    change: _SizeChange | Absent
    webhook_secret: Annotated[str, "Shown once, when a webhook is set."] | Absent


class _Segments(Payload):
    href: Annotated[str, Href(V4)]
    items: list[Segment]


class SegmentRun(Payload):
    """A calculation of a segment."""

    ref: UUID
    segment_ref: UUID | Absent
    kind: str | Absent
    state: Annotated[str, one_of("RUNNING", "SUCCESS", "FAILED")]
    engine: str | Absent
    revision: int | Absent
    sequence: int | Absent
    snapshot: str | Absent
    rows: int | Absent
    entered: int | Absent
    departed: int | Absent
    started_at: datetime | Absent
    finished_at: datetime | Absent
    milliseconds: int | Absent
    error: ErrorText | Absent


class SegmentRevision(Payload):
    """An earlier revision of a segment."""

    revision: int
    name: str
    definition: _Definition
    modified_by: Annotated[str | Absent, Actor()]
    modified_at: datetime


def represent_segment(work: Work, row: Record, *, with_secret: bool = False) -> Record:
    """Return a segment with computed members and without its stored secret."""
    stored = row["webhook_secret"] if with_secret else None
    return {
        **row,
        "client_key": work.actor,
        "type": "ADVANCED" if "sql" in row["definition"] else "BASIC",
        "modified_by_ref": row["modified_by"],
        "share": _share(row["size"], row["total"]),
        "change": _change(row),
        "webhook_secret": webhook_secret(work.settings, stored) if stored else None,
    }


def _share(size: int | None, total: int | None) -> float | None:
    return None if not total or size is None else round(size / total, 6)


def _change(row: Record) -> Record | None:
    """Return the difference of the size from the previous run (1.4)."""
    before, size = row["previous_size"], row["size"]
    if before is None or size is None:
        return None
    guests = size - before
    return {"guests": guests, "share": round(guests / before, 6) if before else None}


@SEGMENTS_V4.endpoint("GET", "", "List segments", name="listSegmentDefinitions", response=_Segments)
@OWN_SEGMENTS.endpoint("GET", "", "List segments", response=_Segments)
async def list_segments(work: Work, _: EndpointRequest) -> Record:
    """Return every segment as `{href, items}`."""
    return {"items": [represent_segment(work, row) for row in await segments.list_all(work)]}


@SEGMENTS_V4.endpoint(
    "GET", _ONE, "Fetch a segment", name="fetchSegmentDefinition", response=Segment, has_etag=True
)
@OWN_SEGMENTS.endpoint("GET", _ONE, "Fetch a segment", response=Segment, has_etag=True)
async def fetch_segment(work: Work, request: EndpointRequest) -> Record:
    """Return one segment by ref or friendly id."""
    return represent_segment(work, await segments.fetch(work, request.ref_or_text("segment")))


@OWN_SEGMENTS.create(
    "",
    "Create a segment, as a Draft",
    before=check_sql("definition"),
    request=CreateSegmentRequest,
    response=Segment,
)
async def create_segment(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Create a Draft. Only this response contains the secret that signs its webhook's messages."""
    require_for_definition(request.body, request.scopes)
    row = await segments.create(work, request.body or {}, request.problems)
    return _created(request, represent_segment(work, row, with_secret=True))


class PreviewSegmentRequest(Payload):
    """A definition, which need not be stored."""

    definition: Annotated[Record, JsonOf(SegmentDefinition)]


class _SegmentSize(Payload):
    size: int
    total: int
    sample: list[UUID]
    share: float | None


@OWN_SEGMENTS.endpoint(
    "POST",
    "/preview",
    "Count the guests of a definition",
    before=check_sql("definition"),
    request=PreviewSegmentRequest,
    raises_later=True,
    response=_SegmentSize,
    scopes=frozenset({Scope.READ}),
    own_transactions=True,
)
async def preview_segment(work: Work, request: EndpointRequest) -> Record:
    """Return the number of guests that meet a definition."""
    require_for_definition(request.body, request.scopes)
    values, problems = request.read_members(PreviewSegmentRequest)
    if "definition" not in values:
        raise Invalid(*problems)
    result = await segment_questions.preview(work, values["definition"], problems)
    return {**result, "share": _share(result["size"], result["total"])}


@OWN_SEGMENTS.change(
    _ONE,
    "Change a Draft or a Paused segment",
    before=check_sql("definition"),
    request=ChangeSegmentRequest,
    response=Segment,
    failures=frozenset({409}),
)
async def change_segment(work: Work, request: EndpointRequest) -> Record:
    """Change members of a segment."""
    require_for_definition(request.body, request.scopes)
    segment, body = request.ref_or_text("segment"), request.body or {}
    row = await segments.change(work, segment, body, request.expected, request.problems)
    return represent_segment(work, row, with_secret=True)


@OWN_SEGMENTS.endpoint(
    "DELETE",
    _ONE,
    "Delete a Draft or a Paused segment",
    takes_version=True,
    failures=frozenset({409}),
)
async def delete_segment(work: Work, request: EndpointRequest) -> None:
    """Delete a segment."""
    await segments.delete(work, request.ref_or_text("segment"), expected=request.expected)


@OWN_SEGMENTS.endpoint(
    "POST",
    _ONE + "/start",
    "Publish a segment: calculate it and keep it up to date",
    response=Segment,
    status=202,
)
async def start_segment(work: Work, request: EndpointRequest) -> Record:
    """Publish a segment."""
    return represent_segment(work, await segments.start(work, request.ref_or_text("segment")))


@OWN_SEGMENTS.endpoint("POST", _ONE + "/pause", "Pause a segment", response=Segment)
async def pause_segment(work: Work, request: EndpointRequest) -> Record:
    """Pause a segment."""
    return represent_segment(work, await segments.pause(work, request.ref_or_text("segment")))


@OWN_SEGMENTS.endpoint(
    "POST", _ONE + "/run", "Calculate a segment now", response=SegmentRun, own_transactions=True
)
async def run_segment(work: Work, request: EndpointRequest) -> Record:
    """Calculate a segment and return the run, which may have failed."""
    return _run(await segment_runs.run(work, request.ref_or_text("segment")))


@OWN_SEGMENTS.endpoint(
    "GET", _ONE + "/runs", "List the runs of a segment, newest first", response=Items[SegmentRun]
)
async def list_segment_runs(work: Work, request: EndpointRequest) -> Record:
    """Return every run, newest first."""
    rows = await segment_runs.runs(work, request.ref_or_text("segment"))
    return {"items": [_run(row) for row in rows]}


@OWN_SEGMENTS.endpoint(
    "GET", _ONE + "/revisions", "List the revisions of a segment", response=Items[SegmentRevision]
)
async def list_segment_revisions(work: Work, request: EndpointRequest) -> Record:
    """Return the revisions of a segment, newest first."""
    return {"items": await segments.revisions(work, request.ref_or_text("segment"))}


@OWN_SEGMENTS.endpoint(
    "POST",
    _ONE + "/revisions/{revision}/restore",
    "Make an earlier revision the newest one",
    response=Segment,
    takes_version=True,
    failures=frozenset({409}),
)
async def restore_segment(work: Work, request: EndpointRequest) -> Record:
    """Restore the name and the definition of a revision."""
    segment, number = request.ref_or_text("segment"), request.path["revision"]
    revision = whole_in(number) or 0
    return represent_segment(
        work, await segments.restore(work, segment, revision, request.expected)
    )


@OWN_SEGMENTS.endpoint(
    "POST",
    _ONE + "/duplicate",
    "Create a Draft with the definition and tags of a segment",
    response=Segment,
    status=201,
)
async def duplicate_segment(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Create a copy of a segment."""
    row = await segments.duplicate(work, request.ref_or_text("segment"))
    return _created(request, represent_segment(work, row))


def _created(request: EndpointRequest, segment: Record) -> EndpointResponse:
    """Return the response with a new segment; its `href` is of the vendor's API, which only reads
    segments, so Location is where this API changes it."""
    return EndpointResponse(segment, location=f"{request.base}{OWN}/{segment['ref']}")


class GuestPaging(Paging):
    """The page of guests to list."""

    most: ClassVar[int] = MOST
    offset: Annotated[int, OFFSET, "Guests to skip."] = 0
    limit: Annotated[int, LIMIT, f"Guests on the page, at most {MOST}."] = 100


class GuestRefs(Payload):
    """A page of refs of guests."""

    total_count: int
    items: list[UUID]


@OWN_SEGMENTS.endpoint(
    "GET",
    _ONE + "/guests",
    "List the guests in a segment",
    parameters=GuestPaging,
    response=GuestRefs,
)
async def list_segment_guests(work: Work, request: EndpointRequest) -> Record:
    """Return the refs of the guests in the segment now, by a query of the lake."""
    parameters: Paging = request.parameters
    window = parameters.page()
    size, items = await segment_catalogue.list_members(work, request.ref_or_text("segment"), window)
    return {"total_count": size, "items": items}


class _DecidedRule(Payload):
    holds: bool
    what: str
    value: Any | None


class _DecidedGroup(_DecidedRule):
    rules: list[_DecidedRule]


class _Verdict(Payload):
    member: bool
    groups: list[_DecidedGroup]


@OWN_SEGMENTS.endpoint(
    "GET",
    _ONE + "/guests/{guest}",
    "Explain whether and why a guest is in a segment",
    response=_Verdict,
    scopes=READ_PERSONAL,
    failures=frozenset({409}),
)
async def explain_segment_guest(work: Work, request: EndpointRequest) -> Record:
    """Return whether a guest is in the segment now, and why."""
    verdict = await segments.explain(work, request.ref_or_text("segment"), request.refs()["guest"])
    return _verdict(verdict)


def _run(row: Record) -> Record:
    started, finished = row.get("started_at"), row.get("finished_at")
    seconds = (finished - started).total_seconds() if started and finished else None
    return {**row, "milliseconds": None if seconds is None else round(seconds * 1000)}


def _verdict(verdict: Verdict) -> Record:
    def represent(decided: Decided) -> Record:
        value = decided.value
        if isinstance(value, list):
            value = [str(each) for each in value]
        return {"holds": decided.holds, "what": decided.what, "value": value}

    groups = [
        {**represent(group), "rules": [represent(rule) for rule in rules]}
        for group, rules in verdict.groups
    ]
    return {"member": verdict.member, "groups": groups}
