"""Replay quarantined events after the cause has been fixed."""

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
    """The outcome of a replay."""

    attached: int = 0
    waiting: int = 0
    """Number of events still in quarantine."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Number of events still in quarantine by reason."""
    items: list["ReplayedItem"] = field(default_factory=list)
    """The first `MOST_ITEMS` replayed events, in order of arrival."""


@dataclass(frozen=True, slots=True)
class ReplayedItem:
    """The outcome of one quarantined event, or of a part of an event."""

    ref: UUID
    reason: str | None = None
    """Why it is still in quarantine; None if it is attached."""
    order_ref: UUID | None = None
    """The order that it created or changed, or that lacks it while it is in quarantine."""


async def replay(work: Work, selection: Selection) -> Replayed:
    """Replay the selected events in order of arrival, each in its own transaction.

    An event keeps the ref and the time that it got when it was first received.
    """
    result = Replayed()
    for ref in await quarantine.list_pending(work, selection):

        async def once(ref: UUID = ref) -> ReplayedItem | None:
            return await _replay_one(work, ref)

        item = await retrying(once)
        if item is None:
            continue
        if item.reason is None:
            result.attached += 1
        else:
            result.waiting += 1
            result.reasons[item.reason] = result.reasons.get(item.reason, 0) + 1
        if len(result.items) < MOST_ITEMS:
            result.items.append(item)
    return result


async def _replay_one(work: Work, ref: UUID) -> ReplayedItem | None:
    """Replay one event; None if it is not in quarantine any more."""
    row = await _lock_pending(work, ref)
    if row is None:
        return None
    order = row["order_ref"]
    if row["event_ref"] is not None:
        reason = await _replay_part(work, ref)
        return None if reason == "" else ReplayedItem(ref, reason, order)
    try:
        ingested = await ingest.record(work, quarantine.original_event(row), ref, replay=True)
    except Exception as fault:
        if may_pass(fault):
            raise
        if not isinstance(fault, ApiError):
            log.exception("event %s in quarantine cannot be replayed", ref)
        await work.run(
            "quarantine.failed", ref=ref, reason=row["reason"], detail=operator_message(fault)
        )
        return ReplayedItem(ref, str(row["reason"]), order)
    if ingested is None:
        return None
    reason = None if ingested.attached else ingested.quarantined[0]
    return ReplayedItem(ref, reason, ingested.order or order)


async def _replay_part(work: Work, ref: UUID) -> str | None:
    """Add a quarantined part of `ext` to its event, as far as the rules allow now.

    Returns None if all of it is attached, else the reason why it stays in quarantine; an empty
    string if it is not in quarantine any more.
    """
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
        # The stored attributes come first, so that the limit of fifty keeps the same ones.
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
