"""Orders that are made while events of their cart wait in quarantine: what they lack is linked."""

from collections.abc import Sequence
from uuid import UUID

from innkeeper.actions.events import quarantine, session_records
from innkeeper.actions.events.browsers import StoredSession
from innkeeper.actions.events.incoming import IncomingRecord
from innkeeper.actions.records import orders
from innkeeper.rules.missing_events import INCOMPLETE, Checkout, QuarantinedEvent, missing_from
from innkeeper.store.work import Json, Row, Work


async def find_missing(work: Work, record: IncomingRecord) -> list[QuarantinedEvent]:
    """What waits in quarantine of the cart of a CHECKOUT."""
    waiting = await quarantine.of_cart(work, record.browser.ref, record.mark.at)
    if not waiting:
        return []
    checkout = Checkout(
        record.meaning["reference_id"],
        record.channel,
        record.session_start,
        record.mark.reach,
        await session_records.events_before(work, record),
    )
    return missing_from(checkout, waiting)


async def link(
    work: Work, record: IncomingRecord, order: UUID, missing: Sequence[QuarantinedEvent]
) -> None:
    """Note what an order lacks, and flag its CHECKOUT where that is a whole event."""
    if missing:
        await quarantine.link(work, [one.ref for one in missing], order)
    if not all(one.is_part for one in missing):
        record.additions.setdefault("flags", []).append(INCOMPLETE)


async def link_late(
    work: Work, late: QuarantinedEvent, sessions: Sequence[StoredSession], channel: str | None
) -> None:
    """Note which order lacks an event that went to quarantine after its CHECKOUT was recorded.

    The CHECKOUT is flagged, and the price that was computed without the event is taken off.
    `sessions` are those of its browser that it may touch. Call it with the browser locked, in the
    transaction that keeps the event.
    """
    for session in sessions:
        is_late = session.about.get("orders") and session.span.last_at >= late.at
        found = await session_records.checkout_after(work, session, late.at) if is_late else None
        if found is None:
            continue
        row, before, bought = found
        order = await work.one("orders.lock", ref=UUID(row["body"]["order"]))
        if order is None:
            continue
        others = await quarantine.of_order(work, order["ref"])
        start = min([session.span.started_at, *(one.at for one in others)])
        earlier = [(one["at"], one["type"], one["body"].get("data", {})) for one in before]
        checkout = Checkout("", channel or "", start, row["reach"], earlier)
        if not missing_from(checkout, [late]):
            continue
        await quarantine.link(work, [late.ref], order["ref"])
        await _flag(work, row)
        if late.decides_price and order["body"].get("price") == bought.price:
            await orders.patch(work, order["ref"], {"price": None})
        return


async def _flag(work: Work, checkout: Row) -> None:
    flags = checkout["body"].get("flags", [])
    if INCOMPLETE not in flags:
        body = {**checkout["body"], "flags": [*flags, INCOMPLETE]}
        await work.run("events.amend", at=checkout["at"], ref=checkout["ref"], body=Json(body))
