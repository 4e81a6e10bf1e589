"""Trying again what waits in quarantine, once what kept it there is mended."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from innkeeper.actions.admin.background import operator_message
from innkeeper.actions.events import event_attributes, ingest, quarantine
from innkeeper.actions.events.quarantine import Selection
from innkeeper.errors import ApiError
from innkeeper.rules import stream
from innkeeper.store.database import retrying
from innkeeper.store.driver_errors import may_pass
from innkeeper.store.work import Json, Row, Work

log = logging.getLogger(__name__)

MOST_ITEMS: Final = 100


@dataclass(slots=True)
class Replayed:
    """What came of it."""

    attached: int = 0
    pending: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Of those that still wait."""
    items: list["ReplayedItem"] = field(default_factory=list)
    """The first `MOST_ITEMS` of them, in order of arrival."""


@dataclass(frozen=True, slots=True)
class ReplayedItem:
    """What came of one that waited: a whole event, or a part of one."""

    ref: UUID
    reason: str | None = None
    """Why it still waits; None when it is attached."""
    order: UUID | None = None
    """The order that it made or changed, or that is made without it as long as it waits."""


async def replay(work: Work, selection: Selection) -> Replayed:
    """Try again what is selected, in order of arrival, each in a transaction of its own.

    An event keeps the ref and the time that it was told first.
    """
    found = Replayed()
    for ref in await quarantine.list_pending(work, selection):

        async def once(ref: UUID = ref) -> ReplayedItem | None:
            return await _replay_one(work, ref)

        item = await retrying(once)
        if item is None:
            continue
        if item.reason is None:
            found.attached += 1
        else:
            found.pending += 1
            found.reasons[item.reason] = found.reasons.get(item.reason, 0) + 1
        if len(found.items) < MOST_ITEMS:
            found.items.append(item)
    return found


async def _replay_one(work: Work, ref: UUID) -> ReplayedItem | None:
    """What came of one; None when it waits no more."""
    row = await _lock_pending(work, ref)
    if row is None:
        return None
    order = row["order_ref"]
    if row["event_ref"] is not None:
        reason = await _replay_part(work, ref)
        return None if reason == "" else ReplayedItem(ref, reason, order)
    try:
        taken = await ingest.record(work, quarantine.original_event(row), ref, replay=True)
    except Exception as fault:
        if may_pass(fault):
            raise
        if not isinstance(fault, ApiError):
            log.exception("event %s in quarantine cannot be replayed", ref)
        await work.run(
            "quarantine.failed", ref=ref, reason=row["reason"], detail=operator_message(fault)
        )
        return ReplayedItem(ref, str(row["reason"]), order)
    if taken is None:
        return None
    reason = None if taken.attached else taken.quarantined[0]
    return ReplayedItem(ref, reason, taken.order or order)


async def _replay_part(work: Work, ref: UUID) -> str | None:
    """Give an event back a part of its `ext`, as far as the rules allow now: None when it is
    attached, else why it still waits; empty when it waits no more."""
    async with work.transaction():
        row = await quarantine.lock_pending(work, ref)
        if row is None:
            return ""
        event = await work.one("events.fetch", at=row["event_at"], ref=row["event_ref"])
        rest = row["message"].get("ext")
        if event is None or not isinstance(rest, Mapping):
            await work.run("quarantine.failed", ref=ref, reason=row["reason"], detail=row["detail"])
            return str(row["reason"])
        body = event["body"]
        has = body.get("data", {}).get("ext", {})
        kinds = await event_attributes.fetch_kinds(work, event["type"], dict(rest))
        # What the event has comes first, so that the fifty are the same ones.
        good, bad = stream.usable_ext({**has, **rest}, kinds)
        left = {name for part in bad for name in part.message["ext"]} & rest.keys()
        if left:
            await work.run("quarantine.failed", ref=ref, reason=bad[0].reason, detail=bad[0].detail)
            return bad[0].reason
        body["data"] = {**body.get("data", {}), "ext": good}
        await work.run("events.amend", at=row["event_at"], ref=row["event_ref"], body=Json(body))
        await quarantine.mark_replayed(work, ref)
    return None


async def _lock_pending(work: Work, ref: UUID) -> Row | None:
    async with work.transaction():
        return await quarantine.lock_pending(work, ref)
