"""Guests: create, fetch, list, replace, patch, delete."""

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import ledger, rulebook
from innkeeper.actions.paging import Page, PageRequest, flat, read_page
from innkeeper.actions.privacy import block_list, erasure
from innkeeper.actions.records import guest_filters
from innkeeper.actions.records.guest_filters import ListQuery
from innkeeper.errors import Unknown
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import Guest
from innkeeper.rules.identity import creation_reason
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.merging import Intent, intent
from innkeeper.rules.orders import Show
from innkeeper.rules.versions import ROW_VERSION, Expected, expect
from innkeeper.store.work import Work

DEEP: Final = 1000
"""Offset above which a list skips rows in the index alone."""


async def create(work: Work, changes: Changes) -> Record:
    """Create a guest, without looking for an existing one (G-1).

    Raises `Forbidden` for a person on the block list.
    """
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
    """Return the creation reason of a posted guest: the rule it meets, with evidence and actor.

    It is stored once; later changes of rules or fields do not change it.
    """
    decided = creation_reason(guest, book, guest["created_at"])
    rule = {"rule": decided.rule} if decided.rule else {}
    return {**rule, "evidence": decided.evidence, "actor": work.actor}


async def fetch(work: Work, guest: UUID) -> Record:
    """Return one live guest; raises `Unknown`."""
    row = await work.one_batched("guests.fetch", ref=guest)
    return flat(_live(row, guest))


async def fetch_with_group(work: Work, guest: UUID) -> tuple[Record, list[UUID]]:
    """Return one live guest, and the refs of it and of all guests merged into it.

    Raises `Unknown`.
    """
    rows = {row["ref"]: row for row in await work.all("merges.group_with_guest", guest=guest)}
    return flat(_live(rows.get(guest), guest)), list(rows)


async def list_(work: Work, page_request: PageRequest) -> Page:
    """Return a page of live guests with the total (G-8 to G-13)."""
    if not page_request.filters.keys() & guest_filters.BY_RULES:
        page, _ = await _list(work, page_request, guest_filters.build_query(page_request.filters))
        return page
    book = await rulebook.current(work)
    while True:
        page, version = await _list(
            work, page_request, guest_filters.build_query(page_request.filters, book)
        )
        if version == str(book.version):
            return page
        book = await rulebook.read(work)


async def _list(work: Work, page_request: PageRequest, query: ListQuery) -> tuple[Page, str | None]:
    """Return the page, and the version of the rules in force if its filters follow them."""
    # The totals of the two long lists are stored; other filters need a count.
    filters, params = query.parts, query.params
    total = {(): "guests.count_all", ("guests.by_guest_type",): "guests.count_type"}.get(
        tuple(filters), "guests.count"
    )
    order = [f"guests.sort_{name}_{'desc' if down else 'asc'}" for name, down in page_request.sort]
    is_deep = page_request.offset > DEEP
    page = await read_page(
        work,
        "guests.list_deep" if is_deep else "guests.list",
        page_request,
        parts={
            "filters": filters,
            "total": [total],
            "version": ["guests.version"] if query.follows_rules else [],
            "order": [*order, *query.order, "guests.sort_last"],
            **({} if is_deep else {"page": [page_request.part]}),
        },
        **params,
    )
    if not query.follows_rules:
        return page, None
    if page.items:
        (version,) = {_text_of(row.pop("version")) for row in page.items}
        return page, version
    in_force = await work.one("identity.version")
    return page, str(in_force["version"]) if in_force else None


def _text_of(ref: UUID | bytes) -> str:
    """Return a ref as text, also that of a row as JSON."""
    return ref.decode() if isinstance(ref, bytes) else str(ref)


async def replace(
    work: Work,
    guest: UUID,
    changes: Changes,
    preserved: Mapping[str, Show] | None = None,
    expected: Expected | None = None,
) -> Record:
    """PUT: clear every field that is not in the request, except `guest_type` (G-4).

    `preserved` fields are not cleared either. Returns the guest. Raises `Forbidden` (block list),
    `Unknown` and `Outdated`.
    """
    await block_list.refuse_blocked(work, changes)
    if preserved:
        change = intent("patch", clock.now(), changes={**_cleared(preserved), **changes})
    else:
        change = intent("replace", clock.now(), changes=changes)
    return await _write(work, guest, change, expected)


async def _write(work: Work, guest: UUID, change: Intent, expected: Expected | None) -> Record:
    """Write a change to a guest, in a batch with others unless a version is expected."""

    async def write_alone() -> Record:
        async with work.transaction():
            return await ledger.write_guest(work, guest, change, expected)

    if expected is not None:
        return await write_alone()
    return await work.in_batch(
        "guests.write", ledger.write_guests, (guest, change), write_alone, guest
    )


def _cleared(preserved: Collection[str]) -> Changes:
    """Return the changes that clear every field a replace clears, except the preserved ones."""
    return {
        name: None
        for name, field in Guest.fields.items()
        if field.clearable and not field.owned and name not in preserved
    }


async def patch(
    work: Work, guest: UUID, changes: Changes, expected: Expected | None = None
) -> Record:
    """PATCH: change only the fields in the request; None clears (G-5).

    Returns the guest. Raises `Forbidden` (block list), `Unknown` and `Outdated`.
    """
    await block_list.refuse_blocked(work, changes)
    change = intent("patch", clock.now(), changes=changes)
    return await _write(work, guest, change, expected)


async def delete(work: Work, guest: UUID, expected: Expected | None = None) -> None:
    """Delete a guest, the guests merged into it, and all their data (G-6, G-7)."""
    async with work.transaction():
        expect(expected, _live(await work.one("guests.lock", ref=guest), guest))
        await erasure.erase(work, [guest])


def _live(row: Record | None, ref: UUID) -> Record:
    """Return the row of a live guest; raises `Unknown` (it names a retired guest's survivor)."""
    survivor = row and row.pop("survivor_ref")
    if row is None or survivor is not None:
        raise Unknown(Guest.singular, ref, survivor=survivor)
    return row
