"""Orders that are created while events of their cart are in quarantine: link what they lack."""

from collections.abc import Sequence
from uuid import UUID

from innkeeper.actions.events import quarantine, session_records
from innkeeper.actions.events.browsers import StoredSession
from innkeeper.actions.events.incoming import IncomingRecord
from innkeeper.actions.records import orders
from innkeeper.rules.missing_events import INCOMPLETE, Checkout, QuarantinedEvent, missing_from
from innkeeper.store.work import Json, Row, Work


async def find_missing(work: Work, record: IncomingRecord) -> list[QuarantinedEvent]:
    """Find the quarantined events of the cart of a CHECKOUT."""
    pending = await quarantine.of_cart(work, record.browser.ref, record.mark.at)
    if not pending:
        return []
    checkout = Checkout(
        record.meaning["reference_id"],
        record.channel,
        record.session_start,
        record.mark.timeout,
        await session_records.events_before(work, record),
    )
    return missing_from(checkout, pending)


async def link(
    work: Work, record: IncomingRecord, order: UUID, missing: Sequence[QuarantinedEvent]
) -> None:
    """Link quarantined events to the order that lacks them; flag its CHECKOUT if one of them is a
    whole event."""
    if missing:
        await quarantine.link(work, [each.ref for each in missing], order)
    if not all(each.is_part for each in missing):
        record.additions.setdefault("flags", []).append(INCOMPLETE)


async def link_late(
    work: Work, late: QuarantinedEvent, sessions: Sequence[StoredSession], channel: str | None
) -> None:
    """Link an event to the order that lacks it, if its CHECKOUT was recorded before the event went
    to quarantine.

    The CHECKOUT is flagged, and the price that was computed without the event is removed.
    `sessions` are the sessions of its browser that it may affect. Call it with the browser locked,
    in the transaction that stores the event.
    """
    for session in sessions:
        is_late = session.details.get("orders") and session.span.last_at >= late.at
        match = await session_records.checkout_after(work, session, late.at) if is_late else None
        if match is None:
            continue
        row, before, bought = match
        order = await work.one("orders.lock", ref=UUID(row["body"]["order"]))
        if order is None:
            continue
        others = await quarantine.of_order(work, order["ref"])
        start = min([session.span.started_at, *(each.at for each in others)])
        earlier = [(each["at"], each["type"], each["body"].get("data", {})) for each in before]
        checkout = Checkout("", channel or "", start, row["timeout"], earlier)
        if not missing_from(checkout, [late]):
            continue
        await quarantine.link(work, [late.ref], order["ref"])
        await _flag(work, row)
        if late.decides_price and order["body"].get("price") == bought.price:
            await orders.patch(work, order["ref"], {"price": None})
        return


async def _flag(work: Work, checkout: Row) -> None:
    """Add the flag `INCOMPLETE` to a stored CHECKOUT."""
    flags = checkout["body"].get("flags", [])
    if INCOMPLETE not in flags:
        body = {**checkout["body"], "flags": [*flags, INCOMPLETE]}
        await work.run("events.amend", at=checkout["at"], ref=checkout["ref"], body=Json(body))
