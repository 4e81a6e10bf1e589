"""Guests: create, fetch, list, replace, patch, delete."""

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import ledger, rulebook
from innkeeper.actions.paging import Page, PageRequest
from innkeeper.actions.privacy import block_list, erasure
from innkeeper.actions.records import guest_filters
from innkeeper.actions.records.guest_filters import ListQuery
from innkeeper.errors import Unknown
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import Guest
from innkeeper.rules.identity import creation_reason
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.merging import intent
from innkeeper.rules.orders import Show
from innkeeper.rules.versions import ROW_VERSION, Expected, expect
from innkeeper.store.work import Work

DEEP: Final = 1000
"""Rows to skip from which on a list skips them in the index alone."""
SORTABLE: Final = frozenset(
    {
        *("created_at", "modified_at", "first_seen", "last_seen"),
        *("email", "first_name", "last_name", "guest_type"),
    }
)


def flat(row: Record) -> Record:
    """A row as one record: the members of its body beside its columns."""
    body: Record = row.pop("body")
    body.update(row)
    return body


async def create(work: Work, changes: Changes) -> Record:
    """A new guest, whoever exists already (G-1), but for who is on the block list."""
    await block_list.refuse_blocked(work, changes)
    guest = ledger.new_guest(changes)
    book = await rulebook.current(work)
    while not (
        version := await ledger.insert_guest(work, guest, book, None, _reason(work, guest, book))
    ):
        book = await rulebook.read(work)
    guest[ROW_VERSION] = version
    return guest


def _reason(work: Work, guest: Record, book: IdentityRules) -> Record:
    """Why it is a guest, by the rules in force: what is stored of it stays, whatever changes."""
    decided = creation_reason(guest, book, guest["created_at"])
    rule = {"rule": decided.rule} if decided.rule else {}
    return {**rule, "evidence": decided.evidence, "actor": work.actor}


async def fetch(work: Work, guest: UUID) -> Record:
    """One live guest; raises `Unknown`."""
    row = await work.one("guests.fetch", ref=guest)
    return flat(_live(row, guest))


async def list_(work: Work, page_request: PageRequest) -> Page:
    """A page of live guests, and how many there are in all (G-8 to G-13)."""
    if not page_request.filters.keys() & guest_filters.BY_RULES:
        page, _ = await _list(work, page_request, guest_filters.of(page_request.filters))
        return page
    book = await rulebook.current(work)
    while True:
        page, version = await _list(
            work, page_request, guest_filters.of(page_request.filters, book)
        )
        if version == book.version:
            return page
        book = await rulebook.read(work)


async def _list(
    work: Work, page_request: PageRequest, query: ListQuery
) -> tuple[Page, UUID | None]:
    """The page, and the version of the identity rules in force if its filters follow them."""
    # Counted types answer for the two lists that may be long; any other filter is counted.
    filters, params = query.parts, query.params
    total = {(): "guests.count_all", ("guests.by_guest_type",): "guests.count_type"}.get(
        tuple(filters), "guests.count"
    )
    order = [f"guests.sort_{name}_{'desc' if down else 'asc'}" for name, down in page_request.sort]
    rows = await work.all(
        "guests.list" if page_request.offset <= DEEP else "guests.list_deep",
        parts={
            "filters": filters,
            "total": [total],
            "version": ["guests.version"] if query.follows_rules else [],
            "order": [*order, *query.order, "guests.sort_last"],
        },
        limit=page_request.limit,
        offset=page_request.offset,
        **params,
    )
    if rows:
        count, version = rows[0]["total"], None
        if query.follows_rules:
            (version,) = {row.pop("version") for row in rows}
        return Page([flat(row) for row in rows], count), version
    in_force = await work.one("identity.version") if query.follows_rules else None
    count = 0
    if page_request.offset:
        # The page lies behind the last row, whose number it must tell all the same.
        parts = {"filters": filters} if total == "guests.count" else {}
        counted = await work.one(total, parts=parts, **params)
        count = counted["total"] if counted else 0
    return Page([], count), in_force["version"] if in_force else None


async def replace(
    work: Work,
    guest: UUID,
    changes: Changes,
    kept: Mapping[str, Show] | None = None,
    expected: Expected | None = None,
) -> Record:
    """PUT: every field not sent is cleared, `guest_type` apart (G-4), but for those `kept`."""
    await block_list.refuse_blocked(work, changes)
    async with work.transaction():
        if kept:
            change = intent("patch", clock.now(), changes={**_cleared(kept), **changes})
        else:
            change = intent("replace", clock.now(), changes=changes)
        return await ledger.write_guest(work, guest, change, expected)


def _cleared(kept: Collection[str]) -> Changes:
    """Every field that a replace clears, but for those it keeps."""
    return {
        name: None
        for name, field in Guest.fields.items()
        if field.clearable and not field.owned and name not in kept
    }


async def patch(
    work: Work, guest: UUID, changes: Changes, expected: Expected | None = None
) -> Record:
    """PATCH: only the fields sent change; null clears (G-5)."""
    await block_list.refuse_blocked(work, changes)
    async with work.transaction():
        change = intent("patch", clock.now(), changes=changes)
        return await ledger.write_guest(work, guest, change, expected)


async def delete(work: Work, guest: UUID, expected: Expected | None = None) -> None:
    """Remove a guest, those merged into it, and all that is tied to them (G-6, G-7)."""
    async with work.transaction():
        expect(expected, _live(await work.one("guests.lock", ref=guest), guest))
        await erasure.erase(work, [guest])


def _live(row: Record | None, ref: UUID) -> Record:
    survivor = row and row.pop("survivor_ref")
    if row is None or survivor is not None:
        raise Unknown(Guest.singular, ref, survivor=survivor)
    return row
