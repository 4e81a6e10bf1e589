"""Data extensions of v2: several keys under one name, each with a ref (VX-1 to VX-9)."""

from dataclasses import dataclass
from uuid import UUID

from innkeeper.actions.paging import Page, PageRequest
from innkeeper.actions.records.extensions import Extensions, check_pairs
from innkeeper.errors import Invalid, Problem, Unknown
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import GuestExtension
from innkeeper.store.work import Work


@dataclass(frozen=True)
class KeyedExtensions:
    """The operations on the extensions of one kind of parent; v2.1 has the same rows (VX-8)."""

    rows: Extensions

    async def create(self, work: Work, name: str, *, changes: Changes, **ref: UUID) -> Record:
        """Create an extension, or replace all pairs of the one with that name and key (VX-4)."""
        parent = ref[self.rows.parent]
        check_pairs(name, changes["pairs"], ())
        async with work.transaction():
            siblings = await self.rows.lock_and_list(work, parent)
            stored_name = find_stored_name(siblings, name)
            for row in siblings:
                if (row["name"], row["key"]) == (stored_name, changes["key"]):
                    return await self.rows.store(work, parent, row, changes["pairs"], False)
            new = {**changes, "name": stored_name}
            return await self.rows.insert(work, parent, siblings, new)

    async def fetch(self, work: Work, name: str, data_extension: UUID, **ref: UUID) -> Record:
        """Return one extension by its ref; raises `Unknown`."""
        rows = await self.rows.of_one(work, ref[self.rows.parent])
        return _one(rows, name, data_extension)

    async def list_(self, work: Work, page_request: PageRequest, name: str, **ref: UUID) -> Page:
        """Return a page of the keys under a name; it is empty if there is none (VX-7)."""
        rows = await self.rows.of_one(work, ref[self.rows.parent])
        return page_request.page_of(_named(rows, name))

    async def replace(
        self, work: Work, name: str, data_extension: UUID, *, changes: Changes, **ref: UUID
    ) -> Record:
        """POST on a ref: replace all pairs (VX-5); raises `Invalid` for another key."""
        parent = ref[self.rows.parent]
        async with work.transaction():
            stored = _one(await self.rows.lock_and_list(work, parent), name, data_extension)
            if changes["key"] != stored["key"]:
                raise Invalid(Problem("key", "cannot be updated"))
            return await self.rows.store(work, parent, stored, changes["pairs"], False)

    async def delete(self, work: Work, name: str, data_extension: UUID, **ref: UUID) -> None:
        """Delete one extension by its ref; raises `Unknown`."""
        parent = ref[self.rows.parent]
        async with work.transaction():
            stored = _one(await self.rows.lock_and_list(work, parent), name, data_extension)
            await self.rows.remove(work, parent, stored["name"], stored["key"])

    async def delete_all(self, work: Work, name: str, **ref: UUID) -> None:
        """Delete every extension of a name (VU-3); raises `Unknown` if there is none."""
        parent = ref[self.rows.parent]
        async with work.transaction():
            stored_name = find_stored_name(await self.rows.lock_and_list(work, parent), name)
            if not await self.rows.remove(work, parent, stored_name):
                self.rows.raise_unknown(parent, name)


def find_stored_name(rows: list[Record], name: str) -> str:
    """Return the stored name that a path names: the same, or with its first letter in other case.

    A path `extExt` names `Ext` or v2.1's `ext` (VX-1). If neither is stored, returns `name`.
    """
    names = {row["name"] for row in rows}
    if name in names:
        return name
    other = name[:1].swapcase() + name[1:]
    return other if other in names else name


def _named(rows: list[Record], name: str) -> list[Record]:
    stored_name = find_stored_name(rows, name)
    return [row for row in rows if row["name"] == stored_name]


def _one(rows: list[Record], name: str, ref: UUID) -> Record:
    for row in _named(rows, name):
        if row["ref"] == ref:
            return row
    raise Unknown(GuestExtension.singular, ref)
