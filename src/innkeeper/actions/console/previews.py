"""What a change would do, found by doing it in a transaction that is then given up."""

from typing import Any, Final
from uuid import UUID

from innkeeper.actions.events import sessions
from innkeeper.actions.identity import merges
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records import guests, orders
from innkeeper.resources.base import Record
from innkeeper.rules.versions import ROW_VERSION
from innkeeper.store.work import Work

MOST_SESSIONS: Final = 1000


class _RolledBack(Exception):
    """Ends a trial: whatever it wrote is undone."""


async def preview_undo(work: Work, merge: UUID) -> dict[str, Any]:
    """What `undo` would return; nothing is undone. Raises what `merges.undo` raises."""
    found: dict[str, Any] = {}
    try:
        async with work.transaction():
            found = await undo_and_compare(work, merge)
            raise _RolledBack
    except _RolledBack:
        return found


async def undo_and_compare(work: Work, merge: UUID) -> dict[str, Any]:
    """Undo a merge: the survivor `before` and `after` it, who was `released`, and how many orders
    and sessions each has. Raises what `merges.undo` raises. Call it in a transaction."""
    await merges.lock_merge(work, merge)
    row = await merges.fetch(work, merge)
    survivor = await _survivor_of(work, row["survivor_ref"])
    found = {
        "merge": row,
        "before": await guests.fetch(work, survivor),
        "owned_before": await _count_owned(work, survivor),
    }
    await merges.undo(work, merge)
    return found | {
        "after": await guests.fetch(work, survivor),
        "owned_after": await _count_owned(work, survivor),
        "released": await guests.fetch(work, row["absorbed_ref"]),
        "owned_released": await _count_owned(work, row["absorbed_ref"]),
    }


def differences(before: Record, after: Record) -> list[tuple[str, Any, Any]]:
    """The fields of one guest that differ: (name, before, after)."""
    skipped = {"modified_at", "last_seen", ROW_VERSION}
    names = dict.fromkeys([*before, *after])
    return [
        (name, before.get(name), after.get(name))
        for name in names
        if name not in skipped and before.get(name) != after.get(name)
    ]


async def _survivor_of(work: Work, guest: UUID) -> UUID:
    row = await work.one("guests.fetch", ref=guest)
    return guest if row is None or row["survivor_ref"] is None else UUID(str(row["survivor_ref"]))


async def _count_owned(work: Work, guest: UUID) -> dict[str, int]:
    page = await orders.list_(work, PageRequest(limit=1, filters={"guest_ref": guest}))
    behaviour = await sessions.of_guest(
        work, guest, most=MOST_SESSIONS, events=0, days=None, custom=False
    )
    return {"orders": page.total, "sessions": len(behaviour.sessions)}
