"""Guests: create, fetch, list, replace, patch, delete."""

from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.protection import erasure, suppression
from innkeeper.actions.recognition import ledger, rulebook
from innkeeper.actions.records.paging import Page, Wanted
from innkeeper.errors import Unknown
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import Guest
from innkeeper.rules.keys import email_key, identifier_key, reference_key
from innkeeper.rules.merging import intent
from innkeeper.rules.orders import Show
from innkeeper.store.work import Json, Work

DEEP: Final = 1000
"""Rows to skip from which on a list skips them in the index alone."""
SORTABLE: Final = frozenset(
    {
        *("created_at", "modified_at", "first_seen", "last_seen"),
        *("email", "first_name", "last_name", "guest_type"),
    }
)
FILTERS: Final = frozenset(
    {
        *("email", "email_untouched", "identifier", "guest_type", "phone_number"),
        *("first_name", "last_name", "city", "country", "state", "title", "gender"),
        *("nationality", "post_code", "date_of_birth", "passport_number"),
        *("order_ref", "order_reference_id"),
    }
)


def flat(row: Record) -> Record:
    """A row as one record: the members of its body beside its columns."""
    body: Record = row.pop("body")
    body.update(row)
    return body


async def create(work: Work, changes: Changes) -> Record:
    """A new guest, whoever exists already (G-1), but for who is on the block list."""
    await suppression.refuse_blocked(work, changes)
    guest = ledger.new(changes)
    book = await rulebook.current(work)
    while not await ledger.insert(work, guest, book):
        book = await rulebook.read(work)
    return guest


async def fetch(work: Work, guest: UUID) -> Record:
    """One live guest; raises `Unknown`."""
    row = await work.one("guests.fetch", ref=guest)
    return flat(_live(row, guest))


async def list_(work: Work, wanted: Wanted) -> Page:
    """A page of live guests, and how many there are in all (G-8 to G-13)."""
    filters, params = _filters(wanted.filters)
    # Counted types answer for the two lists that may be long; any other filter is counted.
    total = {(): "guests.count_all", ("guests.by_guest_type",): "guests.count_type"}.get(
        tuple(filters), "guests.count"
    )
    order = [f"guests.sort_{name}_{'desc' if down else 'asc'}" for name, down in wanted.sort]
    parts = {"filters": filters, "total": [total], "order": [*order, "guests.sort_last"]}
    rows = await work.all(
        "guests.list" if wanted.offset <= DEEP else "guests.list_deep",
        parts=parts,
        limit=wanted.limit,
        offset=wanted.offset,
        **params,
    )
    if rows:
        count = rows[0]["total"]
        return Page([flat(row) for row in rows], count)
    counted = await work.one(
        total, parts={"filters": filters} if total == "guests.count" else {}, **params
    )
    return Page([], counted["total"] if counted else 0)


async def replace(
    work: Work, guest: UUID, changes: Changes, kept: Mapping[str, Show] | None = None
) -> Record:
    """PUT: every field not sent is cleared, `guest_type` apart (G-4), but for those `kept`."""
    await suppression.refuse_blocked(work, changes)
    async with work.transaction():
        if kept:
            wish = intent("patch", clock.now(), changes={**_cleared(kept), **changes})
        else:
            wish = intent("replace", clock.now(), changes=changes)
        return await ledger.write(work, guest, wish)


def _cleared(kept: Collection[str]) -> Changes:
    """Every field that a replace clears, but for those it keeps."""
    return {
        name: None
        for name, field in Guest.fields.items()
        if field.clearable and not field.owned and name not in kept
    }


async def patch(work: Work, guest: UUID, changes: Changes) -> Record:
    """PATCH: only the fields sent change; null clears (G-5)."""
    await suppression.refuse_blocked(work, changes)
    async with work.transaction():
        wish = intent("patch", clock.now(), changes=changes)
        return await ledger.write(work, guest, wish)


async def delete(work: Work, guest: UUID) -> None:
    """Remove a guest, those merged into it, and all that is tied to them (G-6, G-7)."""
    async with work.transaction():
        _live(await work.one("guests.lock", ref=guest), guest)
        await erasure.erase(work, [guest])


def _live(row: Record | None, ref: UUID) -> Record:
    survivor = row and row.pop("survivor_ref")
    if row is None or survivor is not None:
        raise Unknown(Guest.singular, ref, survivor=survivor)
    return row


def _filters(filters: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Names of the SQL conditions that `filters` ask for, and their parameters."""
    parts: list[str] = []
    params: dict[str, Any] = {}
    members: Record = {}
    for name, value in filters.items():
        match name:
            case "email":
                params["email_key"] = email_key(value)
            case "email_untouched":
                params |= {"untouched": value, "untouched_key": email_key(value)}
            case "identifier":
                provider, identifier = value
                params["identifier_key"] = identifier_key(provider, identifier)
                params["identifier"] = Json([{"provider": provider, "id": identifier}])
            case "order_reference_id":
                params |= {name: value, "reference_key": reference_key(value)}
            case "guest_type" | "phone_number" | "order_ref":
                params[name] = value
            case _:
                members[name] = value
                continue
        parts.append(f"guests.by_{name}")
    if members:
        parts.append("guests.by_member")
        params["members"] = Json(members)
    return parts, params
