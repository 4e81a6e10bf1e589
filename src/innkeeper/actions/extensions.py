"""Data extensions of guests: free pairs under a name (rest-v2.1.md 4)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID, uuid5

from innkeeper import clock
from innkeeper.actions import guests
from innkeeper.actions.paging import Page, Wanted
from innkeeper.errors import Conflict, Invalid, Problem, Unknown
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import DEFAULT_KEY, MAX_EXTENSIONS, MAX_PAIRS, GuestExtension
from innkeeper.store.work import Json, Work


def extension_ref(parent: UUID, name: str, key: str = DEFAULT_KEY) -> UUID:
    """The name-based ref of an extension: the same whenever it is created again (C-5)."""
    return uuid5(parent, name if key == DEFAULT_KEY else f"{name}/{key}")


async def create(work: Work, guest: UUID, changes: Changes, unique_keys: bool = False) -> Record:
    """A new extension; 409 when the name exists (X-3), 400 over a limit.

    `unique_keys`: a pair's key may stand in one of the guest's extensions only (X-7).
    """
    name, pairs = changes["name"], changes["pairs"]
    async with work.transaction():
        siblings = await _locked_siblings(work, guest)
        if any(sibling["name"] == name for sibling in siblings):
            raise Conflict(f"Data extension {name} already exists.")
        if len(siblings) >= MAX_EXTENSIONS:
            reason = f"a maximum of {MAX_EXTENSIONS} data extensions is allowed"
            raise Invalid(Problem("name", reason))
        check_pairs(name, pairs, siblings if unique_keys else ())
        row = await work.one(
            "extensions.create",
            guest=guest,
            name=name,
            key=DEFAULT_KEY,
            ref=extension_ref(guest, name),
            pairs=Json(pairs),
            single=changes["single"],
            now=clock.now(),
        )
    if row is None:
        raise Conflict(f"Data extension {name} already exists.")
    return row


async def fetch(work: Work, guest: UUID, name: str) -> Record:
    """The extension of that name: its `default` key, else the oldest (VX-8)."""
    rows = await work.all("extensions.of_guest", guest=guest)
    if not rows:
        await guests.fetch(work, guest)
    return shown(rows, name) or _unknown(guest, name)


async def list_(work: Work, wanted: Wanted, guest: UUID) -> Page:
    """A page of a guest's extensions, one a name, oldest first."""
    rows = await work.all("extensions.of_guest", guest=guest)
    if not rows:
        await guests.fetch(work, guest)
    return wanted.page_of(_one_a_name(rows))


async def of_guests(work: Work, refs: Iterable[UUID]) -> dict[UUID, list[Record]]:
    """The extensions of several guests, by guest."""
    found: dict[UUID, list[Record]] = {ref: [] for ref in refs}
    for row in await work.all("extensions.of_guests", guests=list(found)):
        found[row["guest_ref"]].append(row)
    return {ref: _one_a_name(rows) for ref, rows in found.items()}


async def replace(
    work: Work, guest: UUID, name: str, changes: Changes, unique_keys: bool = False
) -> Record:
    """PUT: all pairs are replaced (X-12)."""

    def replaced(_: Record) -> tuple[Mapping[str, Any], bool]:
        return changes["pairs"], changes["single"]

    return await _rewrite(work, guest, name, replaced, unique_keys)


async def patch(
    work: Work, guest: UUID, name: str, changes: Changes, unique_keys: bool = False
) -> Record:
    """PATCH: only the pairs sent change (X-12)."""

    def patched(stored: Record) -> tuple[Mapping[str, Any], bool]:
        # One pair sent as {key, value} stays shown so while it is the only one (N-12).
        single = changes["single"] if changes["pairs"] else stored["single"]
        return {**stored["pairs"], **changes["pairs"]}, single

    return await _rewrite(work, guest, name, patched, unique_keys)


async def clear(work: Work, guest: UUID, name: str, keys: frozenset[str]) -> Record:
    """Remove the pairs of `keys`, or all when there are none (X-14, X-15, X-16)."""

    def kept(stored: Record) -> tuple[Mapping[str, Any], bool]:
        pairs = stored["pairs"].items()
        return {key: value for key, value in pairs if keys and key not in keys}, stored["single"]

    return await _rewrite(work, guest, name, kept)


async def delete(work: Work, guest: UUID, name: str) -> None:
    """Remove an extension and its pairs (X-13)."""
    async with work.transaction():
        await _locked_siblings(work, guest)
        if not await work.run("extensions.delete", guest=guest, name=name):
            _unknown(guest, name)


def check_pairs(name: str, pairs: Mapping[str, Any], siblings: Iterable[Record]) -> None:
    """Refuse too many pairs (X-5) and keys that another extension holds (X-7)."""
    problems = [
        Problem(key, f"key already exists in data extension {sibling['name']}")
        for sibling in siblings
        if sibling["name"] != name
        for key in pairs
        if key in sibling["pairs"]
    ]
    if len(pairs) > MAX_PAIRS:
        problems.insert(0, Problem(name, f"a maximum of {MAX_PAIRS} key-value pairs is allowed"))
    if problems:
        raise Invalid(*problems)


def shown(rows: Iterable[Record], name: str) -> Record | None:
    """Of the rows under `name` the one v2.1 shows (VX-8); `rows` are oldest first."""
    named = [row for row in rows if row["name"] == name]
    return next((row for row in named if row["key"] == DEFAULT_KEY), named[0] if named else None)


async def _rewrite(
    work: Work,
    guest: UUID,
    name: str,
    change: Callable[[Record], tuple[Mapping[str, Any], bool]],
    unique_keys: bool = False,
) -> Record:
    """Write what `change` makes of the stored row: its pairs, and whether it is shown single."""
    async with work.transaction():
        siblings = await _locked_siblings(work, guest)
        stored = shown(siblings, name) or _unknown(guest, name)
        pairs, single = change(stored)
        check_pairs(name, pairs, siblings if unique_keys else ())
        row = await work.one(
            "extensions.rewrite",
            guest=guest,
            name=name,
            key=stored["key"],
            pairs=Json(pairs),
            single=single and len(pairs) == 1,
            now=clock.now(),
        )
    return row or _unknown(guest, name)


async def _locked_siblings(work: Work, guest: UUID) -> list[Record]:
    """Every extension of a live guest, which stays locked until the transaction ends."""
    row = await work.one("guests.lock", ref=guest)
    if row is None or row["survivor_ref"] is not None:
        raise Unknown("Guest", guest, survivor=row and row["survivor_ref"])
    return await work.all("extensions.of_guest", guest=guest)


def _one_a_name(rows: list[Record]) -> list[Record]:
    names = dict.fromkeys(row["name"] for row in rows)
    return [record for name in names if (record := shown(rows, name))]


def _unknown(guest: UUID, name: str) -> Record:
    raise Unknown(GuestExtension.singular, name, parent=("Guest", guest))
