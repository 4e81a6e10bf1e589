"""Preview a change: apply it in a transaction that is then rolled back."""

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
    """Raised to roll back the transaction of a preview."""


async def preview_undo(work: Work, merge: UUID) -> dict[str, Any]:
    """Return the result of `undo_and_compare` without undoing the merge; raises the errors of
    `merges.undo`."""
    result: dict[str, Any] = {}
    try:
        async with work.transaction():
            result = await undo_and_compare(work, merge)
            raise _RolledBack
    except _RolledBack:
        return result


async def undo_and_compare(work: Work, merge: UUID) -> dict[str, Any]:
    """Undo a merge; returns `merge`, the survivor `before` and `after`, and the `released` guest.

    `owned_before`, `owned_after` and `owned_released` count their orders and sessions. Raises the
    errors of `merges.undo`. Call it in a transaction.
    """
    await merges.lock_merge(work, merge)
    row = await merges.fetch(work, merge)
    survivor = await _survivor_of(work, row["survivor_ref"])
    result = {
        "merge": row,
        "before": await guests.fetch(work, survivor),
        "owned_before": await _count_owned(work, survivor),
    }
    await merges.undo(work, merge)
    return result | {
        "after": await guests.fetch(work, survivor),
        "owned_after": await _count_owned(work, survivor),
        "released": await guests.fetch(work, row["absorbed_ref"]),
        "owned_released": await _count_owned(work, row["absorbed_ref"]),
    }


def differences(before: Record, after: Record) -> list[tuple[str, Any, Any]]:
    """List the fields that differ between two versions of a guest: (name, before, after)."""
    skipped = {"modified_at", "last_seen", ROW_VERSION}
    names = dict.fromkeys([*before, *after])
    return [
        (name, before.get(name), after.get(name))
        for name in names
        if name not in skipped and before.get(name) != after.get(name)
    ]


async def _survivor_of(work: Work, guest: UUID) -> UUID:
    """Return the survivor of a merged guest, else the guest itself."""
    row = await work.one("guests.fetch", ref=guest)
    return guest if row is None or row["survivor_ref"] is None else UUID(str(row["survivor_ref"]))


async def _count_owned(work: Work, guest: UUID) -> dict[str, int]:
    """Count the orders and the sessions (at most `MOST_SESSIONS`) of a guest."""
    page = await orders.list_(work, PageRequest(limit=1, filters={"guest_ref": guest}))
    behaviour = await sessions.of_guest(
        work, guest, most=MOST_SESSIONS, events=0, days=None, custom=False
    )
    return {"orders": page.total, "sessions": len(behaviour.sessions)}
