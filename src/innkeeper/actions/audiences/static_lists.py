"""Static lists: named lists of guests, which change only when somebody adds or removes guests.

A list stores guests as they were added, and a merge changes no row: whoever reads a list follows
merges, so that the survivor is on it, and an undone merge restores it exactly.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.admin.named_records import NamedRecords
from innkeeper.actions.audiences import usage
from innkeeper.actions.audiences.segments import friendly_id, read_changes
from innkeeper.actions.privacy.erasure import ErasureTarget, access_query, erase_query
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.payloads import ABSENT, read_members
from innkeeper.resources.static_lists import ChangeStaticListRequest, CreateStaticListRequest
from innkeeper.rules.audited import STATIC_LIST
from innkeeper.rules.versions import Expected, expect
from innkeeper.store.work import Work

LISTS: Final = NamedRecords("static_lists", "Static list", STATIC_LIST)
list_names: Final = LISTS.list_all
"""List every list, newest first, without sizes."""
fetch_stored: Final = LISTS.fetch
"""Fetch one list by ref or friendly id, without its size; raises `Unknown`."""


async def list_all(work: Work) -> list[Record]:
    """List every list, newest first, each with its `size`."""
    rows = await LISTS.list_all(work)
    sizes = await _sizes(work, rows)
    return [{**row, "size": sizes.get(row["ref"], 0)} for row in rows]


async def fetch(work: Work, static_list: UUID | str) -> Record:
    """Fetch one list by ref or friendly id, with its `size`; raises `Unknown`."""
    row = await fetch_stored(work, static_list)
    return {**row, "size": (await _sizes(work, [row])).get(row["ref"], 0)}


async def create(work: Work, body: Mapping[str, Any], problems: Sequence[Problem] = ()) -> Record:
    """Create a list without guests.

    Raises `Invalid` with `problems` and every other problem, `Conflict` if the friendly id exists.
    """
    problems = [*problems]
    values = read_members(CreateStaticListRequest, body, problems)
    if problems:
        raise Invalid(*problems)
    name = values["name"].strip()
    chosen = values["friendly_id"]
    description = values["description"]
    async with work.transaction():
        row = await LISTS.create(
            work,
            friendly_id=friendly_id(name) if chosen in (ABSENT, None) else chosen,
            name=name,
            description=None if description is ABSENT else description,
        )
    return {**row, "size": 0}


async def change(
    work: Work,
    static_list: UUID | str,
    body: Mapping[str, Any],
    expected: Expected | None = None,
    problems: Sequence[Problem] = (),
) -> Record:
    """Change the name or the description of a list.

    Raises `Invalid` with `problems` and every other problem, and `Outdated` if the stored version
    is not the expected one.
    """
    problems = [*problems]
    async with work.transaction():
        row = await LISTS.fetch_locked(work, static_list)
        expect(expected, row)
        values = read_changes(ChangeStaticListRequest, body, row, problems)
        if problems:
            raise Invalid(*problems)
        name, description = values["name"].strip(), values["description"]
        written = await LISTS.rewrite(work, row, name=name, description=description)
    return {**written, "size": (await _sizes(work, [written])).get(written["ref"], 0)}


async def delete(work: Work, static_list: UUID | str, expected: Expected | None = None) -> None:
    """Delete a list; its guests remain. Raises `InUse` while segments or exports use it."""
    async with work.transaction():
        row = await LISTS.fetch_locked(work, static_list)
        expect(expected, row)
        uses = await usage.of_static_list(work, row)
        usage.refuse_unless_accepted(f"Static list {row['friendly_id']}", uses, "")
        await LISTS.delete(work, row)


async def lock_against_deletion(work: Work, static_list: UUID | str) -> UUID | None:
    """Lock a list against deletion until the transaction ends; returns its ref, or None if there
    is no such list."""
    row = await work.one("static_lists.hold", **LISTS.keys(static_list))
    return row["ref"] if row else None


async def add(work: Work, static_list: UUID, guests: Sequence[UUID]) -> int:
    """Add guests to a list; returns how many were not on it."""
    return await work.run("static_lists.add", list=static_list, guests=list(guests))


async def remove(work: Work, static_list: UUID, guests: Sequence[UUID]) -> int:
    """Remove guests, and the guests merged into them, from a list; returns how many rows."""
    return await work.run("static_lists.remove", list=static_list, guests=list(guests))


async def memberships(work: Work, guest: UUID) -> list[Record]:
    """List the Live segments and the lists that a guest is in: is_list, friendly_id, name, since;
    of a list also added_by, of a segment is_sql."""
    return await work.all("static_lists.memberships", guest=guest)


async def _sizes(work: Work, rows: Sequence[Record]) -> dict[UUID, int]:
    if not rows:
        return {}
    sizes = await work.all("static_lists.sizes", lists=[row["ref"] for row in rows])
    return {row["list_ref"]: row["size"] for row in sizes}


TARGETS: Final = (
    ErasureTarget(
        "static_list_members",
        erase_query("static_lists.erase"),
        access_query("static_lists.access"),
    ),
    ErasureTarget("bulk_action_guests", erase_query("bulk_actions.erase")),
)
