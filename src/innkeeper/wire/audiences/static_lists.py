"""`/innkeeper/v1/staticLists`: named lists of guests."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from innkeeper.actions.audiences import bulk_actions, segment_catalogue, selections, static_lists
from innkeeper.resources.base import Record
from innkeeper.resources.payloads import ABSENT, Absent, Payload
from innkeeper.resources.static_lists import (
    ADD,
    REMOVE,
    ChangeMembersRequest,
    ChangeStaticListRequest,
    CreateStaticListRequest,
    definition_of_list,
)
from innkeeper.store.work import Work
from innkeeper.wire.audiences.bulk_actions import BulkAction, represent, require_for_selection
from innkeeper.wire.audiences.early_checks import check_sql
from innkeeper.wire.audiences.segment_tables import (
    ListSegmentTableParameters,
    declare_table,
    respond_by_parameters,
)
from innkeeper.wire.audiences.segments import GuestPaging, GuestRefs
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest, EndpointResponse
from innkeeper.wire.payloads import Actor, Href, Items, Paging

OWN: Final = "/innkeeper/v1/staticLists"
STATIC_LISTS: Final = EndpointFamily("Static lists", OWN)
_ONE: Final = "/{static_list}"


class StaticList(Payload):
    """A named list of guests, which changes only when somebody adds or removes guests."""

    ref: UUID
    href: Annotated[str, Href(OWN + "/{ref}")]
    name: str
    friendly_id: str
    description: str | Absent
    size: Annotated[int, "Guests on it; merged guests count once."]
    created_by: Annotated[str | Absent, Actor()]
    created_at: datetime
    modified_by: Annotated[str | Absent, Actor()]
    modified_at: datetime


@STATIC_LISTS.endpoint("GET", "", "List static lists", response=Items[StaticList])
async def list_static_lists(work: Work, _: EndpointRequest) -> Record:
    """Return every list, newest first."""
    return {"items": await static_lists.list_all(work)}


@STATIC_LISTS.create(
    "", "Create a static list", request=CreateStaticListRequest, response=StaticList
)
async def create_static_list(work: Work, request: EndpointRequest) -> Record:
    """Create a list without guests."""
    return await static_lists.create(work, request.body or {}, request.problems)


@STATIC_LISTS.endpoint("GET", _ONE, "Fetch a static list", response=StaticList, has_etag=True)
async def fetch_static_list(work: Work, request: EndpointRequest) -> Record:
    """Return one list by ref or friendly id."""
    return await static_lists.fetch(work, request.ref_or_text("static_list"))


@STATIC_LISTS.change(
    _ONE,
    "Change the name or the description of a static list",
    request=ChangeStaticListRequest,
    response=StaticList,
)
async def change_static_list(work: Work, request: EndpointRequest) -> Record:
    """Change members of a list."""
    name, body = request.ref_or_text("static_list"), request.body or {}
    return await static_lists.change(work, name, body, request.expected, request.problems)


@STATIC_LISTS.endpoint(
    "DELETE",
    _ONE,
    "Delete a static list; its guests remain",
    takes_version=True,
    failures=frozenset({409}),
)
async def delete_static_list(work: Work, request: EndpointRequest) -> None:
    """Delete a list."""
    await static_lists.delete(work, request.ref_or_text("static_list"), request.expected)


@STATIC_LISTS.endpoint(
    "GET",
    _ONE + "/guests",
    "List the guests on a static list",
    parameters=GuestPaging,
    response=GuestRefs,
)
async def list_static_list_guests(work: Work, request: EndpointRequest) -> Record:
    """Return the refs of the guests on the list now, survivors in place of merged guests."""
    parameters: Paging = request.parameters
    row = await static_lists.fetch_stored(work, request.ref_or_text("static_list"))
    definition = definition_of_list(row["friendly_id"])
    size, items = await segment_catalogue.list_guests(work, definition, parameters.page())
    return {"total_count": size, "items": items}


@declare_table(
    STATIC_LISTS,
    _ONE + "/table",
    "Guests on a static list now, with chosen columns",
    ListSegmentTableParameters,
)
async def list_static_list_table(work: Work, request: EndpointRequest) -> Record | EndpointResponse:
    """Return a page of the guests on a list as JSON, or all of them as CSV."""
    row = await static_lists.fetch_stored(work, request.ref_or_text("static_list"))
    return await respond_by_parameters(work, definition_of_list(row["friendly_id"]), request)


@STATIC_LISTS.endpoint(
    "POST",
    _ONE + "/guests",
    "Add guests to a static list",
    before=check_sql("selection", "definition"),
    request=ChangeMembersRequest,
    response=BulkAction,
    status=202,
    own_transactions=True,
    failures=frozenset({409}),
)
async def add_static_list_guests(work: Work, request: EndpointRequest) -> Record:
    """Add guests, at once or in the background; returns the action."""
    return await _change_members(work, request, ADD)


@STATIC_LISTS.endpoint(
    "POST",
    _ONE + "/guests/remove",
    "Remove guests from a static list",
    before=check_sql("selection", "definition"),
    request=ChangeMembersRequest,
    response=BulkAction,
    status=202,
    own_transactions=True,
    failures=frozenset({409}),
)
async def remove_static_list_guests(work: Work, request: EndpointRequest) -> Record:
    """Remove guests, at once or in the background; returns the action."""
    return await _change_members(work, request, REMOVE)


async def _change_members(work: Work, request: EndpointRequest, action: str) -> Record:
    order: ChangeMembersRequest = request.payload
    require_for_selection(order.selection, request)
    name = request.ref_or_text("static_list")
    selection = await selections.read_selection(work, order.selection)
    expected = None if order.expected is ABSENT else order.expected
    row = await bulk_actions.change_members(work, action, name, selection, expected)
    return represent(row)
