"""The quarantine: invalid events are stored, listed, replayed or discarded, and never lost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.actions.events.incoming import IncomingRecord
from innkeeper.actions.paging import Page, PageRequest, read_page
from innkeeper.errors import Invalid, Problem, existing
from innkeeper.resources.base import Record, without_nulls
from innkeeper.rules.missing_events import INCOMPLETE, TYPES, QuarantinedEvent
from innkeeper.rules.stream import (
    CLOCK_TRUST,
    IncomingEvent,
    InvalidEvent,
    InvalidPart,
    ParsedEvent,
    StreamConfiguration,
)
from innkeeper.store.work import Json, Row, Work

WHOLE: Final = "event"
PART: Final = "part of an event"
MOST_OF_CART: Final = 1000
"""Maximum number of pending events that are read for one CHECKOUT, and for one order."""
_FIRST: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection of quarantined events: by reason, ref or the order that lacks them; or all."""

    reason: str | None = None
    refs: Sequence[UUID] | None = None
    order: UUID | None = None

    @property
    def filters(self) -> list[str]:
        """The names of the filter queries."""
        by = {"by_reason": self.reason, "by_refs": self.refs, "by_order": self.order}
        return [f"quarantine.{name}" for name, value in by.items() if value is not None]

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the filter queries."""
        refs = None if self.refs is None else list(self.refs)
        params = {"reason": self.reason, "refs": refs, "order": self.order}
        return without_nulls(params)


async def store_event(
    work: Work,
    problem: InvalidEvent,
    event: IncomingEvent,
    reading: ParsedEvent,
    ref: UUID,
    config: StreamConfiguration,
) -> bool:
    """Store a whole event; returns False if the configuration has changed meanwhile."""
    return bool(
        await work.run(
            "quarantine.store",
            ref=ref,
            event=None,
            at=reading.at,
            reason=problem.reason,
            detail=problem.detail,
            message=Json(event.message),
            request=Json(event.request_details()),
            type=reading.type[:255],
            browser=reading.browser,
            received_at=event.received_at,
            settings=config.version,
            order=None,
        )
    )


async def store_failure(work: Work, ref: UUID, problem: InvalidEvent) -> bool:
    """Store why a replay failed; returns False if the event is not in quarantine any more."""
    reason, detail = problem.reason, problem.detail
    return bool(await work.run("quarantine.failed", ref=ref, reason=reason, detail=detail))


async def store_part(
    work: Work, part: InvalidPart, record: IncomingRecord, event: IncomingEvent
) -> None:
    """Store an invalid part that was removed from an event; call it in the event's transaction."""
    await work.run(
        "quarantine.store",
        ref=uuid4(),
        event=record.ref,
        at=record.mark.at,
        reason=part.reason,
        detail=part.detail,
        message=Json(part.message),
        request=Json(event.request_details()),
        type=record.type,
        browser=record.browser.ref,
        received_at=event.received_at,
        settings=record.settings,
        order=record.additions.get("order"),
    )


async def of_cart(work: Work, browser: UUID, until: datetime) -> list[QuarantinedEvent]:
    """List quarantined cart events of a browser that are linked to no order, the latest first.

    At most `MOST_OF_CART` of the time `CLOCK_TRUST` before `until`.
    """
    rows = await work.all(
        "quarantine.of_cart",
        browser=browser,
        types=list(TYPES),
        since=until - CLOCK_TRUST,
        until=until,
        most=MOST_OF_CART,
    )
    return [_quarantined_event(row) for row in rows]


async def of_order(work: Work, order: UUID) -> list[QuarantinedEvent]:
    """List quarantined cart events of an order, at most `MOST_OF_CART`: whole events, then parts,
    the earliest of each first."""
    rows = await work.all("quarantine.of_order", order=order, most=MOST_OF_CART)
    return [_quarantined_event(row) for row in rows]


async def link(work: Work, refs: Sequence[UUID], order: UUID) -> None:
    """Link quarantined events to the order that lacks them."""
    await work.run("quarantine.link", refs=list(refs), order=order)


def _quarantined_event(row: Row) -> QuarantinedEvent:
    is_part = row["event_ref"] is not None
    return QuarantinedEvent(row["ref"], row["type"], row["event_at"], row["message"], is_part)


async def list_(work: Work, page_request: PageRequest, selection: Selection) -> Page:
    """List a page of quarantined events, oldest first."""
    return await _page(work, "quarantine.list", page_request, selection)


async def list_truncated(
    work: Work, page_request: PageRequest, selection: Selection, most: int
) -> Page:
    """List a page with at most `most` characters of each message as text: `beginning`.

    Has `message` as well if the message is not longer.
    """
    return await _page(work, "quarantine.list_truncated", page_request, selection, most=most)


async def fetch_message(work: Work, ref: UUID) -> str:
    """Fetch the whole message of a quarantined event as JSON; raises `Unknown`."""
    row = existing(await work.one("quarantine.text", ref=ref), "Quarantined event", ref)
    return str(row["text"])


async def _page(
    work: Work, query: str, page_request: PageRequest, selection: Selection, **more: Any
) -> Page:
    parts = {"filters": selection.filters, "total": ["quarantine.count"]}
    page = await read_page(work, query, page_request, parts=parts, **selection.params, **more)
    return Page([_with_kind(row) for row in page.items], page.total)


async def reasons(work: Work) -> list[Row]:
    """Count the quarantined events by reason."""
    return await work.all("quarantine.reasons")


async def correct(work: Work, ref: UUID, message: Any) -> None:
    """Replace the message of a quarantined event, which keeps its browser, ref and arrival.

    Raises `Unknown`, and `Invalid` for a part of an event, or a message of another browser or
    without a type.
    """
    async with work.transaction():
        row = existing(await lock_pending(work, ref), "Quarantined event", ref)
        if row["event_ref"] is not None:
            raise Invalid(Problem("message", "is a part of an event, which cannot be corrected"))
        if not isinstance(message, Mapping) or not isinstance(message.get("type"), str):
            raise Invalid(Problem("message", "must be an object with a type"))
        if message.get("browser_id") != row["message"].get("browser_id"):
            raise Invalid(Problem("message.browser_id", "must stay the same"))
        type_ = message["type"].strip().upper()
        await work.run("quarantine.correct", ref=ref, message=Json(dict(message)), type=type_)
        await audit.note(work, "quarantine.correct", ref=str(ref))


async def discard(work: Work, ref: UUID) -> None:
    """Delete a quarantined event; raises `Unknown`.

    If its order lacks no other event, the flag of the order's CHECKOUT is removed; a price that
    could not be computed without the event stays absent.
    """
    async with work.transaction():
        row = existing(await work.one("quarantine.discard", ref=ref), "Quarantined event", ref)
        if row["order_ref"] is not None:
            await work.run(
                "quarantine.remove_flag",
                order=str(row["order_ref"]),
                browser=row["browser_ref"],
                at=row["event_at"],
                until=row["event_at"] + 2 * CLOCK_TRUST,
                flag=INCOMPLETE,
            )


async def lock_pending(work: Work, ref: UUID) -> Row | None:
    """Lock a quarantined event until the transaction ends; None if it is not in quarantine."""
    return await work.one("quarantine.lock", ref=ref)


async def is_pending(work: Work, ref: UUID) -> bool:
    """Whether an event is still in quarantine."""
    return bool(await work.all("quarantine.list", **_by_ref(ref)))


async def mark_replayed(work: Work, ref: UUID) -> None:
    """Mark an event as replayed; call it in the transaction that attached it."""
    await work.run("quarantine.done", ref=ref)


def original_event(row: Row) -> IncomingEvent:
    """Rebuild the event as it was first received."""
    request: Record = row["request"]
    return IncomingEvent(
        row["message"], row["received_at"], request.get("site"), request.get("user_agent", "")
    )


async def list_pending(work: Work, selection: Selection, batch: int = 200) -> Iterable[UUID]:
    """List the refs of all quarantined events of a selection, in order of arrival."""
    refs: list[UUID] = []
    until, after_at, after = clock.now(), _FIRST, UUID(int=0)
    while True:
        rows = await work.all(
            "quarantine.list_pending",
            parts={"filters": selection.filters},
            until=until,
            after_at=after_at,
            after=after,
            most=batch,
            **selection.params,
        )
        refs += [row["ref"] for row in rows]
        if len(rows) < batch:
            return refs
        after_at, after = rows[-1]["received_at"], rows[-1]["ref"]


def _by_ref(ref: UUID) -> dict[str, Any]:
    """Return the arguments of `quarantine.list` for one ref."""
    return {
        "parts": {"filters": ["quarantine.by_refs"], "total": ["quarantine.count"]},
        "refs": [ref],
        "limit": 1,
        "offset": 0,
    }


def _with_kind(row: Row) -> Record:
    """Return a row of a page with `what` it is: a whole event or a part of one."""
    row.pop("total")
    return {**row, "what": WHOLE if row["event_ref"] is None else PART}
