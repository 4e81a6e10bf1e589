"""Data extensions as v2 knows them: several keys under a name, each with a ref (VX-1 to VX-9)."""

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
    """The verbs for the extensions of one kind of parent; the rows are v2.1's (VX-8)."""

    rows: Extensions

    async def create(self, work: Work, name: str, *, changes: Changes, **ref: UUID) -> Record:
        """A new extension, or all pairs of the one with that name and key replaced (VX-4)."""
        parent = ref[self.rows.parent]
        check_pairs(name, changes["pairs"], ())
        async with work.transaction():
            siblings = await self.rows.locked(work, parent)
            stored_name = meant(siblings, name)
            for row in siblings:
                if (row["name"], row["key"]) == (stored_name, changes["key"]):
                    return await self.rows.store(work, parent, row, changes["pairs"], False)
            new = {**changes, "name": stored_name}
            return await self.rows.insert(work, parent, siblings, new)

    async def fetch(self, work: Work, name: str, data_extension: UUID, **ref: UUID) -> Record:
        """One extension by its ref; raises `Unknown`."""
        rows = await self.rows.of_one(work, ref[self.rows.parent])
        return _one(rows, name, data_extension)

    async def list_(self, work: Work, page_request: PageRequest, name: str, **ref: UUID) -> Page:
        """A page of the keys under a name; none is an empty page (VX-7)."""
        rows = await self.rows.of_one(work, ref[self.rows.parent])
        return page_request.page_of(_named(rows, name))

    async def replace(
        self, work: Work, name: str, data_extension: UUID, *, changes: Changes, **ref: UUID
    ) -> Record:
        """POST on a ref: every pair not sent is removed (VX-5)."""
        parent = ref[self.rows.parent]
        async with work.transaction():
            stored = _one(await self.rows.locked(work, parent), name, data_extension)
            if changes["key"] != stored["key"]:
                raise Invalid(Problem("key", "cannot be updated"))
            return await self.rows.store(work, parent, stored, changes["pairs"], False)

    async def delete(self, work: Work, name: str, data_extension: UUID, **ref: UUID) -> None:
        """Remove one extension by its ref."""
        parent = ref[self.rows.parent]
        async with work.transaction():
            stored = _one(await self.rows.locked(work, parent), name, data_extension)
            await self.rows.remove(work, parent, stored["name"], stored["key"])

    async def delete_all(self, work: Work, name: str, **ref: UUID) -> None:
        """Remove every extension of a name (VU-3); raises `Unknown` when there is none."""
        parent = ref[self.rows.parent]
        async with work.transaction():
            stored_name = meant(await self.rows.locked(work, parent), name)
            if not await self.rows.remove(work, parent, stored_name):
                self.rows.unknown(parent, name)


def meant(rows: list[Record], name: str) -> str:
    """The stored name that a path means: the same, else one whose first letter differs in case.

    A path `extExt` may mean `Ext` or v2.1's `ext` (VX-1); with neither stored, itself.
    """
    names = {row["name"] for row in rows}
    if name in names:
        return name
    other = name[:1].swapcase() + name[1:]
    return other if other in names else name


def _named(rows: list[Record], name: str) -> list[Record]:
    stored_name = meant(rows, name)
    return [row for row in rows if row["name"] == stored_name]


def _one(rows: list[Record], name: str, ref: UUID) -> Record:
    for row in _named(rows, name):
        if row["ref"] == ref:
            return row
    raise Unknown(GuestExtension.singular, ref)
