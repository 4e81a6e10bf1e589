"""`/innkeeper/v1/bulkActions`: actions on many guests; and the selections that they take."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from innkeeper.actions.audiences import bulk_actions, selections
from innkeeper.actions.privacy import privacy
from innkeeper.actions.privacy.erasure import GDPR_DELETE
from innkeeper.resources.base import Record
from innkeeper.resources.payload_kinds import one_of
from innkeeper.resources.payloads import ABSENT, Absent, Payload
from innkeeper.resources.static_lists import (
    ADD,
    ERASE,
    FAILED,
    REMOVE,
    SUCCESS,
    GuestSelection,
    SelectGuestsRequest,
)
from innkeeper.rules.scopes import Scope
from innkeeper.store.work import Work
from innkeeper.wire.audiences.early_checks import check_sql
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import Actor, ErrorText, Items
from innkeeper.wire.scopes import refuse_lacking, require_for_definition

BULK_ACTIONS: Final = EndpointFamily("Static lists", "/innkeeper/v1/bulkActions")
_MOST_UNMATCHED: Final = 100


class BulkAction(Payload):
    """An action on many guests."""

    ref: UUID
    action: Annotated[str, one_of(ADD, REMOVE, ERASE)]
    static_list: Annotated[str, "Friendly id of the list."] | Absent
    state: Annotated[str, one_of("QUEUED", "RUNNING", SUCCESS, FAILED)]
    total: Annotated[int, "Guests of the action."]
    changed: Annotated[int, "Guests that it changed so far."]
    pending: Annotated[int, "Guests that it has not reached yet."]
    error: ErrorText | Absent
    actor: Annotated[str | Absent, Actor()]
    created_at: datetime
    finished_at: datetime | Absent


class _SelectionSize(Payload):
    total: int
    sample: list[UUID]
    unmatched: Annotated[list[str], "The first refs and identifiers that no guest has."]


class EraseGuestsRequest(SelectGuestsRequest, kw_only=True):
    """Which guests to erase; their number confirms it."""

    expected: Annotated[int, "Refused with 409 if the number of guests is another."]
    mode: Annotated[str, one_of(*privacy.MODES)] = GDPR_DELETE
    suppress: bool = False


def represent(row: Record) -> Record:
    """Return an action with the friendly id of its list."""
    return {**row, "static_list": row["list_id"]}


def require_for_selection(selection: GuestSelection, request: EndpointRequest) -> None:
    """Raise `Forbidden` for identifiers and personal fields if the key may not see them."""
    require_for_definition(request.body, request.scopes)
    if selection.identifiers is not ABSENT and not request.personal:
        refuse_lacking({Scope.PERSONAL_DATA})


@BULK_ACTIONS.endpoint(
    "GET", "", "List actions on many guests, newest first", response=Items[BulkAction]
)
async def list_bulk_actions(work: Work, _: EndpointRequest) -> Record:
    """Return the newest actions."""
    return {"items": [represent(row) for row in await bulk_actions.list_all(work)]}


@BULK_ACTIONS.endpoint(
    "POST",
    "/preview",
    "Count the guests of a selection",
    before=check_sql("selection", "definition"),
    request=SelectGuestsRequest,
    response=_SelectionSize,
    scopes=frozenset({Scope.READ}),
    own_transactions=True,
)
async def preview_bulk_action(work: Work, request: EndpointRequest) -> Record:
    """Return the number of guests that an action would reach."""
    order: SelectGuestsRequest = request.payload
    require_for_selection(order.selection, request)
    selection = await selections.read_selection(work, order.selection)
    total, sample = await selections.preview(work, selection)
    unmatched = selection.unmatched[:_MOST_UNMATCHED]
    return {"total": total, "sample": sample, "unmatched": [*unmatched]}


@BULK_ACTIONS.endpoint(
    "POST",
    "/erasures",
    "Erase many guests",
    before=check_sql("selection", "definition"),
    request=EraseGuestsRequest,
    response=BulkAction,
    status=202,
    scopes=frozenset({Scope.DELETE}),
    own_transactions=True,
    failures=frozenset({404, 409}),
)
async def erase_guests(work: Work, request: EndpointRequest) -> Record:
    """Erase guests, at once or in the background; returns the action."""
    order: EraseGuestsRequest = request.payload
    require_for_selection(order.selection, request)
    selection = await selections.read_selection(work, order.selection)
    row = await bulk_actions.erase(
        work, selection, order.expected, order.mode, suppress=order.suppress
    )
    return represent(row)


@BULK_ACTIONS.endpoint("GET", "/{action}", "Fetch an action on many guests", response=BulkAction)
async def fetch_bulk_action(work: Work, request: EndpointRequest) -> Record:
    """Return one action with its progress."""
    return represent(await bulk_actions.fetch(work, request.refs()["action"]))
