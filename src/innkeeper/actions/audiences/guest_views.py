"""Saved views of the list of guests: filters, columns and sort under a name.

The owner of a view sees it; everybody sees a shared one, and the operator all. Its owner may change
and delete it, and so may users who manage users, and keys that administer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper.actions.admin import audit
from innkeeper.actions.audiences import segment_questions, traits
from innkeeper.actions.audiences.event_names import find_unknown_events
from innkeeper.actions.audiences.segments import read_changes
from innkeeper.errors import Conflict, Forbidden, Invalid, Problem, existing
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import ChangeGuestViewRequest, CreateGuestViewRequest
from innkeeper.resources.payloads import ABSENT, read_members
from innkeeper.rules.audited import GUEST_VIEW
from innkeeper.rules.exports import read_table
from innkeeper.rules.versions import Expected, expect
from innkeeper.store.work import Json, Work

SINGULAR: Final = "Guest view"
MOST: Final = 500
"""Most views that one caller sees."""


async def list_visible(work: Work) -> list[Record]:
    """List the views that the actor sees, by name."""
    return await work.all("guest_views.list", most=MOST)


async def fetch(work: Work, view: UUID) -> Record:
    """Fetch a view that the actor sees; raises `Unknown`."""
    return existing(await work.one("guest_views.fetch", ref=view), SINGULAR, view)


async def create(work: Work, body: Mapping[str, Any], problems: Sequence[Problem] = ()) -> Record:
    """Save a view.

    Raises `Invalid` with `problems` and every other problem, and `Conflict` if there are too many.
    """
    problems = [*problems, *await find_unknown_events(work, body.get("definition"))]
    values = read_members(CreateGuestViewRequest, body, problems)
    async with work.transaction():
        fields = await _read_columns(work, values, problems)
        if len(await list_visible(work)) >= MOST:
            raise Conflict(f"There are {MOST} views already. Delete one first.")
        row = await work.row("guest_views.create", ref=uuid4(), **fields)
        await audit.record(work, GUEST_VIEW, "create", None, row)
    return row


async def change(
    work: Work,
    view: UUID,
    body: Mapping[str, Any],
    expected: Expected | None = None,
    problems: Sequence[Problem] = (),
    *,
    may_manage: bool = False,
) -> Record:
    """Change members of a view; `may_manage`: also of another owner.

    Raises `Invalid` with every problem, `Unknown`, `Outdated` and `Forbidden`.
    """
    problems = [*problems, *await find_unknown_events(work, body.get("definition"))]
    async with work.transaction():
        row = await _fetch_locked(work, view, may_manage=may_manage)
        expect(expected, row)
        stored = {**row, "shared": row["is_shared"], "friendly_id": None}
        values = read_changes(ChangeGuestViewRequest, body, stored, problems)
        fields = await _read_columns(work, values, problems)
        written = await work.row("guest_views.rewrite", ref=row["ref"], **fields)
        await audit.record(work, GUEST_VIEW, "change", row, written)
    return written


async def delete(
    work: Work, view: UUID, expected: Expected | None = None, *, may_manage: bool = False
) -> None:
    """Delete a view, as `change`; raises `Unknown`, `Outdated` and `Forbidden`."""
    async with work.transaction():
        row = await _fetch_locked(work, view, may_manage=may_manage)
        expect(expected, row)
        await work.run("guest_views.delete", ref=row["ref"])
        await audit.record(work, GUEST_VIEW, "delete", row, None)


async def _read_columns(
    work: Work, values: Mapping[str, Any], problems: list[Problem]
) -> dict[str, Any]:
    """Return the columns of a view with the members `values`; raises `Invalid`."""
    columns, sort = values.get("columns"), values.get("sort")
    columns = columns if isinstance(columns, list) else []
    sort = sort if isinstance(sort, str) and sort else None
    if "definition" in values:
        try:
            await segment_questions.check_definition(work, values["definition"])
        except Invalid as invalid:
            problems += invalid.problems
    try:
        read_table(columns, (sort or "").removeprefix("-"), await traits.list_current(work))
    except Invalid as invalid:
        problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    return {
        "name": values["name"].strip(),
        "is_shared": values["shared"] not in (ABSENT, None, False),
        "definition": Json(values["definition"]),
        "columns": columns,
        "sort": sort,
    }


async def _fetch_locked(work: Work, view: UUID, *, may_manage: bool) -> Record:
    row = existing(await work.one("guest_views.lock", ref=view), SINGULAR, view)
    if row["owner"] != work.actor and not may_manage:
        raise Forbidden(f"The view {row['name']} belongs to somebody else.")
    return row
