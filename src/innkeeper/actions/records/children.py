"""Resources that belong to another: create, fetch, list, replace, patch, delete by declaration."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.paging import Page, PageRequest, flat, read_page
from innkeeper.errors import Unknown
from innkeeper.resources.base import Changes, Record, Resource, without_nulls
from innkeeper.resources.orders import PLAIN_CHILDREN
from innkeeper.rules.orders import Show, replacement
from innkeeper.store.work import Json, Work

Change = Callable[[Record], Awaitable[Changes]]


@dataclass(frozen=True)
class Children:
    """The operations on one kind of child; the statements are those of `children.sql`.

    Methods take refs under their names in paths: `order` and `order_item`.
    """

    resource: type[Resource]
    read_columns: ClassVar[frozenset[str]] = frozenset()
    """Columns that are read with a row besides its fields and the parent's ref."""

    async def create(self, work: Work, changes: Changes, **parent: UUID) -> Record:
        """Create a child; raises `Unknown` for its parent."""
        (parent_ref,) = parent.values()
        row = await work.one(
            f"{self.table}.create",
            ref=uuid4(),
            parent=parent_ref,
            body=self.body(changes),
            now=work.stamp(),
        )
        return flat(row or self._raise_unknown_parent(parent_ref))

    async def fetch(self, work: Work, **ref: UUID) -> Record:
        """Return one child; raises `Unknown`."""
        (child_ref,) = ref.values()
        row = await work.one_batched(f"{self.table}.fetch", ref=child_ref)
        return flat(row or self.raise_unknown(child_ref))

    async def list_(self, work: Work, page_request: PageRequest, **parent: UUID) -> Page:
        """Return a page of a parent's children, oldest first; raises `Unknown` for the parent."""
        (parent_ref,) = parent.values()
        parts = {"filters": [f"{self.table}.of_parent"]}
        page = await read_page(
            work, f"{self.table}.list", page_request, parts=parts, parent=parent_ref
        )
        if not page.total:
            await self.lock_parent(work, parent_ref)
        return page

    async def of_many(self, work: Work, parents: Iterable[UUID]) -> dict[UUID, list[Record]]:
        """Return the children of several parents, by parent."""
        by_parent: dict[UUID, list[Record]] = {ref: [] for ref in parents}
        for row in await work.all(f"{self.table}.of_many", parents=list(by_parent)):
            by_parent[row[self.parent_ref]].append(flat(row))
        return by_parent

    async def count_of_many(self, work: Work, parents: Iterable[UUID]) -> dict[UUID, int]:
        """Return the number of children of several parents, by parent."""
        refs = list(parents)
        rows = await work.all(f"{self.table}.numbers", parents=refs)
        return dict.fromkeys(refs, 0) | {row[self.parent_ref]: row["number"] for row in rows}

    async def replace(
        self, work: Work, changes: Changes, preserved: Mapping[str, Show] | None = None, **ref: UUID
    ) -> Record:
        """PUT: clear the fields that are not in the request, except `preserved` ones.

        Returns the child; raises `Unknown`.
        """

        async def replace_fields(stored: Record) -> Changes:
            mutable = {name: value for name, value in stored.items() if name not in self.columns}
            return self.defaults(stored) | replacement(mutable, changes, preserved or {})

        return await self.rewrite(work, replace_fields, **ref)

    async def patch(self, work: Work, changes: Changes, **ref: UUID) -> Record:
        """PATCH: change only the fields in the request; None clears. Raises `Unknown`."""

        async def patch_fields(_: Record) -> Changes:
            return changes

        return await self.rewrite(work, patch_fields, **ref)

    async def delete(self, work: Work, **ref: UUID) -> None:
        """Delete a child with all that belongs to it; raises `Unknown`."""
        (child_ref,) = ref.values()
        if not await work.run(f"{self.table}.delete", ref=child_ref):
            self.raise_unknown(child_ref)

    async def rewrite(self, work: Work, change: Change, **ref: UUID) -> Record:
        """Store the result of `change` on a child and return the child; raises `Unknown`."""
        (child_ref,) = ref.values()
        async with work.transaction():
            row = await work.one(f"{self.table}.lock", ref=child_ref)
            stored = flat(row or self.raise_unknown(child_ref))
            changes = await change(stored)
            after = {**stored, **changes, "modified_at": clock.now()}
            after |= await self.write(work, stored, changes, after)
        return without_nulls(after)

    def defaults(self, _: Record) -> Changes:
        """Return the values of columns that a replace without them restores."""
        return {}

    async def write(self, work: Work, stored: Record, changes: Changes, after: Record) -> Record:
        """Store a locked child as it is after `changes`, and return columns that differ."""
        now, body = after["modified_at"], self.body(after)
        await work.run(f"{self.table}.rewrite", ref=stored["ref"], body=body, now=now)
        return {}

    async def lock_parent(self, work: Work, parent: UUID) -> None:
        """Lock a parent against deletion until the transaction ends; raises `Unknown`."""
        if await work.one(f"{self.table}.lock_parent", parent=parent) is None:
            self._raise_unknown_parent(parent)

    async def check(self, work: Work, child: UUID) -> None:
        """Raise `Unknown` unless a child exists."""
        if await work.one(f"{self.table}.exists", ref=child) is None:
            self.raise_unknown(child)

    def body(self, record: Mapping[str, Any]) -> Json:
        """Return the fields of a record that its row stores as JSON."""
        return Json(
            {
                name: value
                for name, value in record.items()
                if value is not None and name not in self.columns
            }
        )

    def raise_unknown(self, ref: UUID) -> Record:
        """Raise `Unknown` for a child."""
        raise Unknown(self.resource.singular, ref)

    def _raise_unknown_parent(self, ref: UUID) -> Record:
        raise Unknown(self.resource.belongs_to().singular, ref)

    @cached_property
    def table(self) -> str:
        """The table, which begins the names of the statements."""
        return self.resource.table

    @cached_property
    def parent_ref(self) -> str:
        """The column with the parent's ref."""
        return f"{self.resource.belongs_to().key}_ref"

    @cached_property
    def columns(self) -> frozenset[str]:
        """Members of a record that are not in the row's body."""
        declared = (name for name, field in self.resource.fields.items() if field.column)
        return frozenset({*declared, self.parent_ref, *self.read_columns})


PARTS: Final = {resource: Children(resource) for resource in PLAIN_CHILDREN}
"""Part of orders that needs nothing but its declaration -> the operations on it."""
