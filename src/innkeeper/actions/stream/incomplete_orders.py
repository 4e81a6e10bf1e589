"""Orders that are made while events of their cart wait in quarantine: what they lack is linked."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from innkeeper.actions.stream import quarantine, session_records
from innkeeper.actions.stream.arrivals import Arrival
from innkeeper.rules.missing_events import Checkout, Waiting, missing_from
from innkeeper.store.work import Work

INCOMPLETE: Final = "events of the cart wait in quarantine"
"""Flag of a CHECKOUT whose order lacks some."""


async def find_missing(work: Work, arrival: Arrival) -> list[Waiting]:
    """What waits in quarantine of the cart of a CHECKOUT."""
    waiting = await quarantine.of_cart(work, arrival.browser.ref, arrival.mark.at)
    if not waiting:
        return []
    checkout = Checkout(
        arrival.meaning["reference_id"],
        arrival.channel,
        arrival.session_start,
        arrival.mark.reach,
        await session_records.events_before(work, arrival),
    )
    return missing_from(checkout, waiting)


async def link(work: Work, arrival: Arrival, order: UUID, missing: Sequence[Waiting]) -> None:
    """Note what an order lacks, and flag its CHECKOUT where that is a whole event."""
    if missing:
        await quarantine.link(work, [one.ref for one in missing], order)
    if not all(one.is_part for one in missing):
        arrival.noted.setdefault("flags", []).append(INCOMPLETE)
