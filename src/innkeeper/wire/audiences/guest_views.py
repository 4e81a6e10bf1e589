"""`/innkeeper/v1/guestViews`: saved views of the list of guests."""

from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import UUID

from innkeeper.actions.audiences import guest_views
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import (
    ChangeGuestViewRequest,
    CreateGuestViewRequest,
    SegmentDefinition,
)
from innkeeper.resources.exports import TABLE_COLUMNS
from innkeeper.resources.payloads import Absent, Payload
from innkeeper.rules.scopes import Scope
from innkeeper.store.work import Work
from innkeeper.wire.audiences.early_checks import check_sql
from innkeeper.wire.audiences.segment_tables import (
    TableParameters,
    allow_csv,
    declare_table,
    respond_with_table,
)
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest, EndpointResponse
from innkeeper.wire.payloads import Actor, DefinitionOf, Href, Items, Uri
from innkeeper.wire.scopes import require_for_definition

OWN: Final = "/innkeeper/v1/guestViews"
GUEST_VIEWS: Final = EndpointFamily("Guest views", OWN)
_ONE: Final = "/{view}"


class GuestView(Payload):
    """Filters, columns and sort of the list of guests, saved under a name."""

    ref: UUID
    href: Annotated[str, Href(OWN + "/{ref}")]
    page: Annotated[Uri, "The page that shows it."]
    name: str
    owner: Annotated[str | Absent, Actor()]
    shared: bool
    definition: Annotated[Any, DefinitionOf(SegmentDefinition)]
    columns: list[str]
    sort: str | Absent
    created_at: datetime
    modified_at: datetime


def _record(work: Work, request: EndpointRequest, row: Record) -> Record:
    page = f"{request.base}/w/{quote(work.workspace)}/guests?view={row['ref']}"
    return {**row, "shared": row["is_shared"], "page": page}


@GUEST_VIEWS.endpoint("GET", "", "List the views that the API key sees", response=Items[GuestView])
async def list_guest_views(work: Work, request: EndpointRequest) -> Record:
    """Return shared views and those of the API key, by name."""
    rows = await guest_views.list_visible(work)
    return {"items": [_record(work, request, row) for row in rows]}


@GUEST_VIEWS.create(
    "",
    "Save a view of the list of guests",
    before=check_sql("definition"),
    request=CreateGuestViewRequest,
    response=GuestView,
    failures=frozenset({409}),
)
async def create_guest_view(work: Work, request: EndpointRequest) -> Record:
    """Save a view."""
    require_for_definition(request.body, request.scopes)
    row = await guest_views.create(work, request.body or {}, request.problems)
    return _record(work, request, row)


@GUEST_VIEWS.endpoint("GET", _ONE, "Fetch a view", response=GuestView, has_etag=True)
async def fetch_guest_view(work: Work, request: EndpointRequest) -> Record:
    """Return one view."""
    return _record(work, request, await guest_views.fetch(work, request.refs()["view"]))


@GUEST_VIEWS.change(
    _ONE,
    "Change a view",
    before=check_sql("definition"),
    request=ChangeGuestViewRequest,
    response=GuestView,
)
async def change_guest_view(work: Work, request: EndpointRequest) -> Record:
    """Change members of a view."""
    require_for_definition(request.body, request.scopes)
    view, body = request.refs()["view"], request.body or {}
    row = await guest_views.change(
        *(work, view, body, request.expected, request.problems), may_manage=_may_manage(request)
    )
    return _record(work, request, row)


@GUEST_VIEWS.endpoint("DELETE", _ONE, "Delete a view", takes_version=True)
async def delete_guest_view(work: Work, request: EndpointRequest) -> None:
    """Delete a view."""
    view = request.refs()["view"]
    await guest_views.delete(work, view, request.expected, may_manage=_may_manage(request))


@declare_table(
    GUEST_VIEWS, _ONE + "/table", "Guests of a view now, with its columns and sort", TableParameters
)
async def list_guest_view_table(work: Work, request: EndpointRequest) -> Record | EndpointResponse:
    """Return a page of the guests of a view as JSON, or all of them as CSV."""
    parameters: TableParameters = request.parameters
    allow_csv(work, parameters)
    row = await guest_views.fetch(work, request.refs()["view"])
    columns = row["columns"] or TABLE_COLUMNS
    return await respond_with_table(work, row["definition"], columns, row["sort"], parameters)


def _may_manage(request: EndpointRequest) -> bool:
    """Whether a key may change and delete the shared views of other owners."""
    return Scope.ADMINISTRATION in request.scopes
