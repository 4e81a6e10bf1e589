"""Guests: create, fetch, list, replace, patch, delete."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.paging import Page, Wanted
from innkeeper.errors import Unknown
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import Guest
from innkeeper.rules.guests import mirror_email
from innkeeper.rules.keys import email_key, guest_keys, identifier_key
from innkeeper.store.work import Json, Work

COLUMNS: Final = frozenset(name for name, field in Guest.fields.items() if field.column)
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
    }
)


def flat(row: Record) -> Record:
    """A row as one record: the members of its body beside its columns."""
    body: Record = row.pop("body")
    body.update(row)
    return body


async def create(work: Work, changes: Changes) -> Record:
    """A new guest, whoever exists already (G-1)."""
    now = clock.now()
    guest: Record = {
        **_told(changes),
        "ref": uuid4(),
        "first_seen": now,
        "last_seen": now,
        "created_at": now,
        "modified_at": now,
    }
    await work.run(
        "guests.create",
        ref=guest["ref"],
        guest_type=guest["guest_type"],
        body=body_of(guest),
        keys=guest_keys(guest),
        now=now,
    )
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


async def replace(work: Work, guest: UUID, changes: Changes) -> Record:
    """PUT: every field not sent is cleared, `guest_type` apart (G-4)."""

    def rewritten(stored: Record) -> Record:
        kept = {name: stored[name] for name in COLUMNS if name in stored}
        return {**kept, **_told(changes)}

    return await _rewrite(work, guest, rewritten)


async def patch(work: Work, guest: UUID, changes: Changes) -> Record:
    """PATCH: only the fields sent change; null clears (G-5)."""
    return await _rewrite(work, guest, lambda stored: _changed(stored, changes))


async def delete(work: Work, guest: UUID) -> None:
    """Remove a guest and all that is tied to it (G-6)."""
    if not await work.run("guests.delete", ref=guest):
        raise Unknown(Guest.singular, guest)


async def _rewrite(work: Work, guest: UUID, change: Callable[[Record], Record]) -> Record:
    async with work.transaction():
        row = await work.one("guests.lock", ref=guest)
        after = change(flat(_live(row, guest)))
        after["modified_at"] = clock.now()
        await work.run(
            "guests.rewrite",
            ref=guest,
            guest_type=after["guest_type"],
            body=body_of(after),
            keys=guest_keys(after),
            now=after["modified_at"],
        )
    return after


def _changed(stored: Record, changes: Changes) -> Record:
    return _present({**stored, **mirror_email(changes)})


def _told(changes: Changes) -> Record:
    """The fields of a guest told of as a whole: null is as good as absent."""
    return _present(mirror_email(_present(changes)))


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def body_of(record: Record) -> Json:
    """The members of a guest that live in the row's body."""
    return Json({name: value for name, value in record.items() if name not in COLUMNS})


def _live(row: Record | None, ref: UUID) -> Record:
    if row is None or row.pop("survivor_ref") is not None:
        raise Unknown(Guest.singular, ref)
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
            case "guest_type" | "phone_number":
                params[name] = value
            case _:
                members[name] = value
                continue
        parts.append(f"guests.by_{name}")
    if members:
        parts.append("guests.by_member")
        params["members"] = Json(members)
    return parts, params
