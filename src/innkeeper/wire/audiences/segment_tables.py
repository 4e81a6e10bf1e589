"""Tables of the guests of a segment or a definition, and comparisons of segments."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.audiences import guest_tables, segment_catalogue, segments
from innkeeper.actions.audiences.guest_tables import GuestTable
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import Invalid
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import SegmentDefinition, SetTagsRequest
from innkeeper.resources.exports import TABLE_COLUMNS
from innkeeper.resources.kinds import ListOf
from innkeeper.resources.payload_kinds import Described, MapOf, one_of
from innkeeper.resources.payloads import ABSENT, Absent, JsonOf, Payload
from innkeeper.rules.scopes import READ_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.audiences.early_checks import check_sql
from innkeeper.wire.audiences.segments import OWN, TAG, Segment, represent_segment
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest, EndpointResponse, PerformType
from innkeeper.wire.pagination import LIMIT, OFFSET

SEGMENT_TABLES: Final = EndpointFamily(TAG, OWN)
_SORT: Final = "Column to sort by; with - before its name, descending."
_MOST: Final = guest_tables.MOST_ROWS


class TableParameters(Payload):
    """Which guests of a table to list."""

    format: Annotated[str, one_of("json", "csv"), "json or csv."] = "json"
    offset: Annotated[int, OFFSET, "Guests to skip."] = 0
    limit: Annotated[
        int | Absent,
        LIMIT,
        f"Guests in JSON, 100 by default and at most {_MOST}; in CSV, by default all.",
    ] = ABSENT


class ListSegmentTableParameters(TableParameters):
    """Which guests of a segment to list, with which columns."""

    columns: Annotated[str | Absent, "Columns as exports name them, joined by commas."] = ABSENT
    sort: Annotated[str | Absent, _SORT] = ABSENT


class GuestTablePage(Payload):
    """A page of a table of guests."""

    total_count: int
    columns: list[str]
    rows: Annotated[
        list[Record], ListOf(MapOf(Described({}))), "Each has `ref`, and a value for each column."
    ]


class ListGuestTableRequest(Payload):
    """Which guests to list, with which columns."""

    definition: Annotated[Record, JsonOf(SegmentDefinition)]
    columns: Annotated[list[str] | Absent, "Columns as exports name them."] = ABSENT
    sort: Annotated[str | Absent, _SORT] = ABSENT
    offset: Annotated[int, OFFSET, "Guests to skip."] = 0
    limit: Annotated[int, LIMIT, f"Guests on the page, at most {_MOST}."] = 100


class SegmentOverlap(Payload):
    """How many guests two segments share."""

    size: int
    other_size: int
    both: int


def declare_table(
    family: EndpointFamily, path: str, summary: str, parameters: type[TableParameters]
) -> Callable[[PerformType], PerformType]:
    """Declare an operation that returns a table of guests, as JSON or as CSV."""
    return family.endpoint(
        "GET",
        path,
        summary,
        parameters=parameters,
        response=GuestTablePage,
        scopes=READ_PERSONAL,
        other_media=("text/csv",),
        own_transactions=True,
        is_large=True,
    )


@declare_table(
    SEGMENT_TABLES,
    "/{segment}/table",
    "Guests in the segment now, with chosen columns",
    ListSegmentTableParameters,
)
async def list_segment_table(work: Work, request: EndpointRequest) -> Record | EndpointResponse:
    """Return a page of the guests in a segment as JSON, or all of them as CSV."""
    allow_csv(work, request.parameters)
    row = await segments.fetch(work, request.ref_or_text("segment"))
    return await respond_by_parameters(work, row["definition"], request)


@SEGMENT_TABLES.endpoint(
    "POST",
    "/table",
    "Guests of a definition, with chosen columns",
    before=check_sql("definition"),
    request=ListGuestTableRequest,
    raises_later=True,
    response=GuestTablePage,
    scopes=READ_PERSONAL,
    own_transactions=True,
    is_large=True,
)
async def list_guest_table(work: Work, request: EndpointRequest) -> Record:
    """Return a page of the guests of a definition, which need not be stored."""
    values, problems = request.read_members(ListGuestTableRequest)
    if "definition" not in values:
        raise Invalid(*problems)
    payload = ListGuestTableRequest(**values)
    columns: Sequence[str] = payload.columns if isinstance(payload.columns, list) else TABLE_COLUMNS
    page = page_of(payload.offset, payload.limit, payload.sort)
    table = await guest_tables.of_definition(
        work, payload.definition, columns, page, problems=problems
    )
    return await asyncio.to_thread(_page, table)


@SEGMENT_TABLES.endpoint(
    "GET",
    "/{segment}/overlap/{other}",
    "How many guests two segments share",
    response=SegmentOverlap,
    own_transactions=True,
)
async def fetch_segment_overlap(work: Work, request: EndpointRequest) -> Record:
    """Count the guests of two segments now, and those in both."""
    first: UUID | str = request.ref_or_text("segment")
    return dict(await segment_catalogue.compare(work, first, request.ref_or_text("other")))


@SEGMENT_TABLES.endpoint(
    "PUT",
    "/{segment}/tags",
    "Replace the tags of a segment, in any status",
    request=SetTagsRequest,
    response=Segment,
    has_etag=True,
    takes_version=True,
)
async def set_segment_tags(work: Work, request: EndpointRequest) -> Record:
    """Replace the tags, also of a Live segment."""
    order: SetTagsRequest = request.payload
    row = await segments.set_tags(
        work, request.ref_or_text("segment"), order.tags, request.expected
    )
    return represent_segment(work, row)


def allow_csv(work: Work, parameters: TableParameters) -> None:
    """Read definitions of any size for CSV: the process for large results sends no streams."""
    if parameters.format == "csv":
        work.json_bytes_max = None


async def respond_by_parameters(
    work: Work, definition: Mapping[str, Any], request: EndpointRequest
) -> Record | EndpointResponse:
    """Do what `respond_with_table` does, with the columns and the sort that a caller names."""
    parameters: ListSegmentTableParameters = request.parameters
    named = parameters.columns
    columns = named.split(",") if isinstance(named, str) else TABLE_COLUMNS
    return await respond_with_table(work, definition, columns, parameters.sort, parameters)


async def respond_with_table(
    work: Work,
    definition: Mapping[str, Any],
    columns: Sequence[str],
    sort: Any,
    parameters: TableParameters,
) -> Record | EndpointResponse:
    """Return a page of the guests of a stored definition as JSON, or all of them as CSV."""
    limit = parameters.limit if isinstance(parameters.limit, int) else None
    page = page_of(parameters.offset, limit or 100, sort)
    if parameters.format == "json":
        table = await guest_tables.of_definition(work, definition, columns, page, stored=definition)
        return await asyncio.to_thread(_page, table)

    async def open_file() -> IO[bytes]:
        return (await guest_tables.open_csv(work, definition, columns, page, limit))[0]

    return EndpointResponse(open_file=open_file, content_type="text/csv; charset=utf-8")


def page_of(offset: int, limit: int, sort: Any) -> PageRequest:
    """Return a page, sorted by a column that a caller names, such as `-lastSeen`."""
    name = sort.removeprefix("-") if isinstance(sort, str) else ""
    return PageRequest(offset, min(limit, _MOST), sort=((name, name != sort),) if name else ())


def _page(table: GuestTable) -> Record:
    columns = [column.name for column in table.columns]
    return {"total_count": table.total, "columns": columns, "rows": table.records}
