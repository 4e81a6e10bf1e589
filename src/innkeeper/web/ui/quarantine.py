"""Screen of the quarantine: events that break a rule, their reasons, replay and discard."""

from typing import Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.admin import audit, configuration
from innkeeper.actions.events import quarantine, replays
from innkeeper.actions.events.quarantine import Selection
from innkeeper.errors import ApiError, Conflict, Invalid, Problem
from innkeeper.resources.configuration import PointOfSale
from innkeeper.resources.values import ValueRefused
from innkeeper.rules.access import Right
from innkeeper.rules.masking import masked
from innkeeper.web.ui.bounded import JSON_CHARACTERS
from innkeeper.web.ui.downloads import file
from innkeeper.web.ui.shell import WARNING, PageRoute, Visit, ref_of
from innkeeper.wire.json_text import decode_object

UNKNOWN_POINT: Final = "unknown point of sale"
REMEDIES: Final = {
    UNKNOWN_POINT: "Open an event to create its point of sale and replay all that wait for it.",
    "reserved name": "The name is reserved. Send the event with another name; replay does not "
    "help.",
    "bad attributes": "Its type requires more. Open the event to correct it; correct the sender.",
    "guest is not a customer": "The guest needs an IDENTITY event before it can check out.",
    "ext over 50 attributes": "Send at most 50 attributes in ext.",
    "ext attribute unusable": "Names may have letters, digits and _; values are text, numbers or "
    "booleans.",
    "ext attribute changed type": "An attribute must keep the type of its first value.",
    "bad member": "A member has an invalid value.",
}


async def show(visit: Visit) -> Response:
    """List quarantined events, filtered by reason and order."""
    reason, order = visit.query_text("reason"), visit.query_text("order")
    selection = Selection(reason or None, order=ref_of(order) if order else None)
    page = await quarantine.list_truncated(
        visit.work, visit.page_request, selection, JSON_CHARACTERS
    )
    if not visit.personal:
        for each in page.items:
            # It may quote the message.
            each["detail"] = masked(each["detail"])
    return visit.show(
        "quarantine.html",
        page=page,
        reasons=await quarantine.reasons(visit.work),
        reason=reason,
        order=order,
        remedy=REMEDIES.get(reason, ""),
    )


async def message(visit: Visit) -> Response:
    """Return the whole message of one event as a file."""
    ref = visit.ref("event")
    return file(f"event-{ref}.json", await quarantine.fetch_message(visit.work, ref))


async def run_action(visit: Visit) -> Response:
    """Replay one event, those of a reason or order, or all; or discard one."""
    reason, ref = visit.form_text("reason") or None, visit.form_text("ref")
    order = visit.form_text("order") or None
    try:
        refs = [UUID(ref)] if ref else None
    except ValueError:
        raise Invalid(Problem("ref", "the ref of an event")) from None
    if visit.form_text("action") == "discard" and refs:
        await quarantine.discard(visit.work, refs[0])
        await audit.note(visit.work, "quarantine.discard", ref=ref)
        return visit.go("/quarantine", "The event was deleted.", reason=reason, order=order)
    if visit.form_text("action") == "create" and refs:
        reason, refs = UNKNOWN_POINT, None
        await _create_point_of_sale(visit, UUID(ref))
    elif visit.form_text("action") == "correct" and refs:
        await _correct(visit, refs[0])
    of_order = ref_of(order) if order and not refs else None
    result = await replays.replay(visit.work, Selection(None if refs else reason, refs, of_order))
    await audit.note(visit.work, "quarantine.replay", attached=result.attached)
    mark = WARNING if result.waiting else ""
    note = f"{mark}{result.attached:,} attached, {result.waiting:,} still in quarantine."
    note += "".join(f" {reason.capitalize()}: {n:,}." for reason, n in result.reasons.items())
    return visit.go("/quarantine", note, reason=reason if result.waiting else None, order=order)


async def _create_point_of_sale(visit: Visit, event: UUID) -> None:
    """Create the point of sale that a quarantined event names, unless it exists by now."""
    visit.need(Right.POINTS_OF_SALE)
    message = decode_object((await quarantine.fetch_message(visit.work, event)).encode())
    name = message.get("pos")
    if not isinstance(name, str) or not name.strip():
        raise Invalid(Problem("pos", "the event names no point of sale"))
    try:
        changes = {"name": PointOfSale.fields["name"].kind.read(name)}
        await configuration.create_point_of_sale(visit.work, changes)
    except ValueRefused as refused:
        raise Invalid(Problem("pos", refused.reason)) from None
    except Conflict:
        return


async def _correct(visit: Visit, event: UUID) -> None:
    """Store the message that was edited; raises `Invalid` if it is no JSON."""
    visit.need(Right.PERSONAL)
    try:
        message = decode_object(visit.form_text("message").encode())
    except ApiError:
        raise Invalid(Problem("message", "is not valid JSON")) from None
    await quarantine.correct(visit.work, event, message)


PAGES: Final = (
    PageRoute("/quarantine", show, run_action, post_right=Right.REPLAY, whole=False),
    PageRoute("/quarantine/{event}/message", message, right=Right.PERSONAL),
)
