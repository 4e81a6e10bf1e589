"""`/innkeeper/v1/quarantine`: list, replay and delete events that could not be attached."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.events import quarantine, replays
from innkeeper.actions.events.quarantine import Selection
from innkeeper.resources.base import Record
from innkeeper.resources.payload_kinds import one_of
from innkeeper.resources.payloads import Absent, Payload
from innkeeper.rules.scopes import READ_PERSONAL, WRITE_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import FilterText, PageOf, Paging, page_record

QUARANTINE: Final = EndpointFamily("Quarantine (innkeeper)", "/innkeeper/v1/quarantine")


class Quarantined(Payload):
    """An event in quarantine, or a part of one."""

    ref: Annotated[UUID, "Of an event: the ref that the sender received."]
    what: Annotated[str, one_of(quarantine.WHOLE, quarantine.PART)]
    event_ref: Annotated[UUID, "Of a part: the event that was recorded without it."] | Absent
    reason: str
    detail: str
    message: dict[str, Any]
    type: str
    browser_ref: str | Absent
    received_at: datetime
    attempts: int | Absent
    order_ref: Annotated[UUID, "The order that was created without the event."] | Absent


class _QuarantinePage(PageOf[Quarantined]):
    reasons: dict[str, int]


class ListQuarantineParameters(Paging, kw_only=True):
    """Filters of the list of events."""

    reason: Annotated[str, FilterText(), "Only events in quarantine for this reason."] | Absent
    order_ref: Annotated[UUID, "Only events that are missing from this order."] | Absent


@QUARANTINE.endpoint(
    "GET",
    "",
    "List events in quarantine",
    parameters=ListQuarantineParameters,
    response=_QuarantinePage,
    scopes=READ_PERSONAL,
)
async def list_quarantine(work: Work, request: EndpointRequest) -> Record:
    """Return a page of quarantined events, oldest first, and their number by reason."""
    parameters: ListQuarantineParameters = request.parameters
    selection = Selection(parameters.reason or None, order=parameters.order_ref or None)
    page = await quarantine.list_(work, parameters.page(), selection)
    reasons = {row["reason"]: row["waiting"] for row in await quarantine.reasons(work)}
    return {**page_record(request, page), "reasons": reasons}


class ReplayQuarantineRequest(Payload):
    """The events to replay; all if neither member is sent."""

    reason: Annotated[str | None, "Only events in quarantine for this reason."] = None
    refs: Annotated[
        list[UUID] | None, "Only these events. Without `reason` and `refs`: all events."
    ] = None


class ReplayedEvent(Payload):
    """An event that was replayed."""

    ref: UUID
    reason: (
        Annotated[str, "Why the event is still in quarantine; absent if it was recorded."] | Absent
    )
    order_ref: (
        Annotated[UUID, "The order that the event created or changed, or that lacks the event."]
        | Absent
    )


class _Replayed(Payload):
    attached: int
    waiting: int
    reasons: dict[str, int]
    items: list[ReplayedEvent]


@QUARANTINE.endpoint(
    "POST",
    "/replay",
    "Replay events in quarantine",
    request=ReplayQuarantineRequest,
    response=_Replayed,
    scopes=WRITE_PERSONAL,
    own_transactions=True,
)
async def replay_quarantine(work: Work, request: EndpointRequest) -> Record:
    """Return the number of events that are attached now, the reasons of the others, and the first
    events."""
    payload: ReplayQuarantineRequest = request.payload
    return asdict(await replays.replay(work, Selection(payload.reason, payload.refs)))


class CorrectQuarantinedRequest(Payload):
    """The corrected event."""

    message: Annotated[dict[str, Any], "The whole message; `browser_id` stays the same."]


@QUARANTINE.endpoint(
    "PUT",
    "/{quarantined}",
    "Correct an event in quarantine",
    request=CorrectQuarantinedRequest,
    scopes=WRITE_PERSONAL,
)
async def correct_quarantined(work: Work, request: EndpointRequest) -> None:
    """Replace the message of a quarantined event, to be replayed afterwards."""
    payload: CorrectQuarantinedRequest = request.payload
    await quarantine.correct(work, request.refs()["quarantined"], payload.message)


@QUARANTINE.endpoint("DELETE", "/{quarantined}", "Delete an event from quarantine")
async def discard_quarantined(work: Work, request: EndpointRequest) -> None:
    """Delete a quarantined event permanently."""
    await quarantine.discard(work, request.refs()["quarantined"])
