"""`/innkeeper/v1/quarantine`: events that could not be attached, and trying them again."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from innkeeper.actions.events import quarantine, replays
from innkeeper.actions.events.quarantine import Selection
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.values import NOT_VALID, iso, ref_in
from innkeeper.store.work import Work
from innkeeper.wire import pagination
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse
from innkeeper.wire.naming import camel
from innkeeper.wire.schemas import (
    COUNTS,
    FREE,
    INSTANT,
    PAGING,
    REF,
    TEXT,
    WHOLE,
    an_object,
    array_of,
    named,
    one_of,
    page_of,
)
from innkeeper.wire.views import View

PATH: Final = "/innkeeper/v1/quarantine"
TAG: Final = "Quarantine (innkeeper)"


class Quarantined(Resource):
    """Something in quarantine: served by operations of its own, paged like any list."""


_LIST: Final = View(
    resource=Quarantined,
    path=PATH,
    item=PATH + "/{quarantined}",
    verbs=frozenset(),
    filters={"reason": "reason", "orderRef": "order_ref"},
    ref_filters=frozenset({"order_ref"}),
)


def _represent(record: Record) -> dict[str, Any]:
    return {
        camel(name): iso(value) if hasattr(value, "isoformat") else value
        for name, value in record.items()
        if value is not None
    }


async def list_quarantine(work: Work, request: EndpointRequest) -> EndpointResponse:
    """A page of what waits, oldest first, and how many wait by reason."""
    try:
        wanted = pagination.wanted(_LIST, request.query)
    except pagination.NoHit as none:
        wanted, page = none.wanted, quarantine.NOTHING
    else:
        by = wanted.filters
        selection = Selection(by.get("reason"), order=by.get("order_ref"))
        page = await quarantine.list_(work, wanted, selection)
    items = [_represent(record) for record in page.items]
    url = request.base + PATH
    body = pagination.envelope(_LIST, url, request.query, wanted, page.total, items)
    reasons = {row["reason"]: row["waiting"] for row in await quarantine.reasons(work)}
    return EndpointResponse({**body, "reasons": reasons})


async def replay(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with how many are attached now, why others still wait, and the first of them."""
    done = await replays.replay(work, _selection(request.body or {}, request.problems))
    return EndpointResponse(
        {
            "attached": done.attached,
            "waiting": done.pending,
            "reasons": done.reasons,
            "items": [
                _represent({"ref": one.ref, "reason": one.reason, "order_ref": one.order})
                for one in done.items
            ],
        }
    )


async def discard(work: Work, request: EndpointRequest) -> EndpointResponse:
    """204: one is given up for good."""
    await quarantine.discard(work, request.refs()["quarantined"])
    return EndpointResponse(status=204)


def _selection(body: Mapping[str, Any], name_problems: Sequence[Problem]) -> Selection:
    reason, refs = body.get("reason"), body.get("refs")
    problems = [*name_problems]
    if reason is not None and not isinstance(reason, str):
        problems.append(Problem("reason", "must be a string"))
    parsed = None
    if refs is not None:
        read = (
            [ref_in(ref) if isinstance(ref, str) else None for ref in refs]
            if isinstance(refs, list)
            else [None]
        )
        parsed = [ref for ref in read if ref is not None]
        if len(parsed) != len(read):
            problems.append(Problem("refs", NOT_VALID))
    if problems:
        raise Invalid(*problems)
    return Selection(reason, parsed)


_ITEM: Final = named(
    "Quarantined",
    an_object(
        ("ref", "what", "reason", "detail", "message", "type", "receivedAt"),
        ref={**TEXT, "description": "Of an event: what its sender was told."},
        what=one_of(quarantine.WHOLE, quarantine.PART),
        eventRef={**TEXT, "description": "The attached event that a part was taken from."},
        reason=TEXT,
        detail=TEXT,
        message=FREE,
        type=TEXT,
        browserRef=TEXT,
        receivedAt=INSTANT,
        attempts=WHOLE,
        orderRef={**TEXT, "description": "The order that was made without it."},
    ),
)
_REPLAYED: Final = named(
    "ReplayedEvent",
    an_object(
        ("ref",),
        ref=TEXT,
        reason={**TEXT, "description": "Why it still waits; absent when it is attached."},
        orderRef={
            **TEXT,
            "description": "The order that it made or changed, or that lacks it while it waits.",
        },
    ),
)
_SELECTION: Final = an_object(
    reason={**TEXT, "description": "Only those kept for this reason."},
    refs={**array_of(REF), "description": "Only these; all when neither is named."},
)

QUARANTINE: Final = (
    Endpoint(
        method="GET",
        path=PATH,
        name="listQuarantine",
        summary="List events in quarantine",
        tag=TAG,
        perform=list_quarantine,
        old_query={
            "reason": "Only those kept for this reason.",
            "orderRef": "Only those that this order was made without.",
            **PAGING,
        },
        response_schema=page_of(_ITEM, reasons=COUNTS),
        failures=frozenset({400}),
    ),
    Endpoint(
        method="POST",
        path=PATH + "/replay",
        name="replayQuarantine",
        summary="Try events in quarantine again",
        tag=TAG,
        perform=replay,
        old_body=_SELECTION,
        response_schema=an_object(
            ("attached", "waiting", "reasons", "items"),
            attached=WHOLE,
            waiting=WHOLE,
            reasons=COUNTS,
            items=array_of(_REPLAYED),
        ),
        own_transactions=True,
    ),
    Endpoint(
        method="DELETE",
        path=PATH + "/{quarantined}",
        name="discardQuarantined",
        summary="Give up an event in quarantine",
        tag=TAG,
        perform=discard,
        status=204,
    ),
)
