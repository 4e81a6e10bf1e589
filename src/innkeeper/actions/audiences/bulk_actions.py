"""Actions on many guests: add to a static list, remove from it, erase.

An action stores the guests that it has to reach and removes them as it reaches them, so that a
restart continues it. A small one is done at once, a large one by a job.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit, background
from innkeeper.actions.audiences import selections, static_lists
from innkeeper.actions.audiences.selections import SelectedGuests
from innkeeper.actions.privacy import erasure
from innkeeper.errors import ApiError, Conflict, existing
from innkeeper.resources.base import Record
from innkeeper.resources.static_lists import (
    ADD,
    ERASE,
    FAILED,
    FINISHED,
    MOST_ERASED,
    REMOVE,
    SUCCESS,
)
from innkeeper.store.work import Json, Work

SINGULAR: Final = "Bulk action"
RUN: Final = "bulk_actions.run"
MOST_LISTED: Final = 100
AT_ONCE: Final = {ADD: 10_000, REMOVE: 10_000, ERASE: 20}
"""Most guests of an action that is done before its response is sent."""
CHUNK: Final = {ADD: 5000, REMOVE: 5000, ERASE: 20}
"""Guests in one transaction."""
_MOST_RESOLVED: Final = 10_000
"""Most guests whose refs a request looks up; a job looks up the refs of larger actions."""
_STORED: Final = 50_000
"""Refs in one statement."""


async def list_all(work: Work) -> list[Record]:
    """List the newest actions."""
    return await work.all("bulk_actions.list", limit=MOST_LISTED)


def lock_of(work: Work, action: UUID) -> str:
    """Return the lock of the jobs of an action, of which one runs at a time."""
    return f"{work.workspace} bulk action {action}"


async def fetch(work: Work, action: UUID) -> Record:
    """Fetch one action; raises `Unknown`."""
    return existing(await work.one("bulk_actions.fetch", ref=action), SINGULAR, action)


async def change_members(
    work: Work,
    action: str,
    static_list: UUID | str,
    selection: SelectedGuests,
    expected: int | None,
) -> Record:
    """Add guests to a list, or remove them; `expected`: as for `erase`."""
    row = await static_lists.fetch_stored(work, static_list)
    return await _start(work, action, selection, expected, static_list=row["ref"])


async def erase(
    work: Work,
    selection: SelectedGuests,
    expected: int,
    mode: str = erasure.GDPR_DELETE,
    *,
    suppress: bool = False,
) -> Record:
    """Erase guests with everything that is stored about them.

    Raises `Conflict` if their number is not the `expected` one, which somebody has confirmed, or
    more than one action may erase.
    """
    options = {"mode": mode, "suppress": suppress}
    return await _start(work, ERASE, selection, expected, options=options)


async def _start(
    work: Work,
    action: str,
    selection: SelectedGuests,
    expected: int | None,
    static_list: UUID | None = None,
    options: dict[str, Any] | None = None,
) -> Record:
    """Store an action; do it at once if it is small, else queue its job."""
    refs = selection.refs
    total, _ = await selections.preview(work, selection)
    if refs is None and total <= _MOST_RESOLVED:
        refs = (*await selections.find_refs(work, selection.definition or {}),)
        total = len(refs)
    if expected is not None and expected != total:
        raise Conflict(f"These are {total:,} guests now, not {expected:,}. Review them first.")
    if action == ERASE and total > MOST_ERASED:
        raise Conflict(f"One action erases at most {MOST_ERASED:,} guests; these are {total:,}.")
    is_queued = total > AT_ONCE[action]
    async with work.transaction():
        row = await work.row(
            "bulk_actions.create",
            ref=uuid4(),
            action=action,
            list=static_list,
            options=Json(options or {}),
            selection=None if refs is not None else Json(selection.definition),
            is_queued=is_queued,
            total=total,
        )
        if refs is not None:
            await _queue_guests(work, row["ref"], refs)
        await audit.note(
            work,
            f"guests.{action.lower()}",
            about=row["list_id"] and audit.AuditSubject("static_list", row["list_id"]),
            guests=total,
        )
        if is_queued:
            lock = lock_of(work, row["ref"])
            await background.defer(work, RUN, lock=lock, action=str(row["ref"]))
            return await fetch(work, row["ref"])
    return await run(work, row["ref"])


async def run(work: Work, action: UUID) -> Record:
    """Continue an action until it has reached all of its guests; an `ApiError` ends it."""
    row = await fetch(work, action)
    work.actor = row["actor"]
    if row["state"] in FINISHED:
        return row
    try:
        if row["selection"] is not None:
            refs = await selections.find_refs(work, row["selection"])
            async with work.transaction():
                await _queue_guests(work, action, refs)
        while guests := await _next(work, row):
            async with work.transaction():
                changed = await _act(work, row, guests)
                await work.run("bulk_actions.advance", ref=action, guests=guests, changed=changed)
    except ApiError as error:
        return await _finish(work, action, FAILED, background.operator_message(error))
    return await _finish(work, action, SUCCESS)


async def delete_finished(work: Work) -> int:
    """Delete the actions that finished longer than `batch_days` ago; returns how many."""
    before = clock.now() - timedelta(days=work.settings.batch_days)
    return await work.run("bulk_actions.delete_finished", before=before)


async def _queue_guests(work: Work, action: UUID, refs: Sequence[UUID]) -> None:
    for start in range(0, len(refs), _STORED):
        some = list(refs[start : start + _STORED])
        await work.run("bulk_actions.queue_guests", ref=action, guests=some)
    await work.run("bulk_actions.start", ref=action, total=len(refs))


async def _next(work: Work, row: Record) -> list[UUID]:
    rows = await work.all("bulk_actions.next", ref=row["ref"], most=CHUNK[row["action"]])
    return [each["guest_ref"] for each in rows]


async def _act(work: Work, row: Record, guests: list[UUID]) -> int:
    """Do an action to some guests; returns how many it changed. Raises `Conflict` if its list was
    deleted."""
    if row["action"] == ERASE:
        options = row["options"]
        receipt = await erasure.erase(work, guests, options["mode"], suppress=options["suppress"])
        return len(receipt.subjects)
    act = static_lists.add if row["action"] == ADD else static_lists.remove
    static_list = row["list_ref"]
    if static_list is None or not await static_lists.lock_against_deletion(work, static_list):
        raise Conflict("The static list was deleted before the action ended.")
    return await act(work, static_list, guests)


async def _finish(work: Work, action: UUID, state: str, error: str | None = None) -> Record:
    row = await work.one("bulk_actions.finish", ref=action, state=state, error=error)
    return row or await fetch(work, action)
