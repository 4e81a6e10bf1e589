"""Data extensions: key-value pairs under a name, stored with a guest, an order or an item."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.paging import Page, PageRequest
from innkeeper.errors import Conflict, Invalid, Problem, Unknown
from innkeeper.refs import named_ref
from innkeeper.resources.base import Changes, Record, Resource
from innkeeper.resources.guests import (
    DEFAULT_KEY,
    MAX_EXTENSIONS,
    MAX_PAIRS,
    Guest,
    GuestExtension,
    extension_name,
)
from innkeeper.resources.orders import Order, OrderItem
from innkeeper.store.work import Json, Work


def extension_ref(parent: UUID, name: str, key: str = DEFAULT_KEY) -> UUID:
    """Return the name-based ref of an extension, which stays the same if it is recreated (C-5)."""
    return named_ref(parent, extension_name(name, key))


@dataclass(frozen=True)
class Extensions:
    """The operations on the extensions of one kind of parent (rest-v2.1.md 4 and 9).

    `parent` is the parent's name in queries and paths; methods take its ref under that name.
    """

    owner: type[Resource]
    parent: str

    async def create(
        self,
        work: Work,
        name: str = "",
        *,
        changes: Changes,
        unique_keys: bool = False,
        **ref: UUID,
    ) -> Record:
        """Create an extension. Raises `Conflict` if the name exists (X-3), `Invalid` over a limit.

        `unique_keys`: a pair's key may occur in one of the parent's extensions only (X-7).
        """
        parent = ref[self.parent]
        name = changes["name"]
        async with work.transaction():
            siblings = await self.lock_and_list(work, parent)
            if any(sibling["name"] == name for sibling in siblings):
                raise Conflict(f"Data extension {name} already exists.")
            check_pairs(name, changes["pairs"], siblings if unique_keys else ())
            return await self.insert(work, parent, siblings, changes)

    async def fetch(self, work: Work, name: str, **ref: UUID) -> Record:
        """Return the extension of a name: its `default` key, else the oldest (VX-8)."""
        rows = await self.of_one(work, ref[self.parent])
        return visible_extension(rows, name) or self.raise_unknown(ref[self.parent], name)

    async def list_(self, work: Work, page_request: PageRequest, **ref: UUID) -> Page:
        """Return a page of a parent's extensions, one per name, oldest first."""
        return page_request.page_of(one_per_name(await self.of_one(work, ref[self.parent])))

    async def of_many(self, work: Work, refs: Iterable[UUID]) -> dict[UUID, list[Record]]:
        """Return the extensions of several parents, one per name, by parent."""
        rows = await self.every_of_many(work, refs)
        return {ref: one_per_name(named) for ref, named in rows.items()}

    async def replace(
        self, work: Work, name: str, *, changes: Changes, unique_keys: bool = False, **ref: UUID
    ) -> Record:
        """PUT: replace all pairs (X-12)."""

        def replace_pairs(_: Record) -> tuple[Mapping[str, Any], bool]:
            return changes["pairs"], changes["single"]

        return await self._rewrite(work, ref[self.parent], name, replace_pairs, unique_keys)

    async def patch(
        self, work: Work, name: str, *, changes: Changes, unique_keys: bool = False, **ref: UUID
    ) -> Record:
        """PATCH: change only the pairs in the request (X-12)."""

        def patch_pairs(stored: Record) -> tuple[Mapping[str, Any], bool]:
            # A pair sent as {key, value} is shown in that form while it is the only one (N-12).
            single = changes["single"] if changes["pairs"] else stored["single"]
            return {**stored["pairs"], **changes["pairs"]}, single

        return await self._rewrite(work, ref[self.parent], name, patch_pairs, unique_keys)

    async def clear(self, work: Work, name: str, keys: frozenset[str], **ref: UUID) -> Record:
        """Remove the pairs of `keys`, or all pairs if `keys` is empty (X-14, X-15, X-16)."""

        def remove_pairs(stored: Record) -> tuple[Mapping[str, Any], bool]:
            pairs = stored["pairs"].items()
            remaining = {key: value for key, value in pairs if keys and key not in keys}
            return remaining, stored["single"]

        return await self._rewrite(work, ref[self.parent], name, remove_pairs)

    async def delete(self, work: Work, name: str, **ref: UUID) -> None:
        """Delete an extension and its pairs (X-13)."""
        parent = ref[self.parent]
        async with work.transaction():
            await self.lock_and_list(work, parent)
            if not await self.remove(work, parent, name):
                self.raise_unknown(parent, name)

    async def lock_and_list(self, work: Work, parent: UUID) -> list[Record]:
        """Lock a parent until the transaction ends, and return its extensions, oldest first."""
        await self.lock(work, parent)
        return await work.all("extensions.of_one", parts=self._parts, parent=parent)

    async def lock(self, work: Work, parent: UUID) -> None:
        """Lock a parent until the transaction ends; raises `Unknown`."""
        await self._check_parent(work, parent, "extensions.lock_parent")

    async def of_one(self, work: Work, parent: UUID) -> list[Record]:
        """Return every extension of a parent, oldest first; raises `Unknown` for the parent."""
        rows = await work.all_batched("extensions.of_one", parts=self._parts, parent=parent)
        if not rows:
            await self._check_parent(work, parent, "extensions.find_parent")
        return rows

    async def of_one_cut(self, work: Work, parent: UUID, limit: int, most: int) -> Page:
        """Return the first extensions of a parent, oldest first, and the total.

        In large extensions each text is cut to `most` characters.
        """
        rows = await work.all(
            "extensions.of_one_cut",
            parts=self._parts,
            parent=parent,
            limit=limit,
            most=most,
            whole=4 * most,
        )
        return Page(rows, rows[0]["total"] if rows else 0)

    async def by_ref(self, work: Work, parent: UUID, ref: UUID) -> Record | None:
        """Return one extension of a parent, or None."""
        return await work.one("extensions.by_ref", parts=self._parts, parent=parent, ref=ref)

    async def refs_of(self, work: Work, parent: UUID) -> list[UUID]:
        """Return the refs of a parent's extensions, oldest first."""
        parts = {name: self._parts[name] for name in ("table", "column", "live")}
        return [row["ref"] for row in await work.all("extensions.refs", parts=parts, parent=parent)]

    async def of_many_cut(
        self, work: Work, refs: Iterable[UUID], each: int, limit: int, most: int
    ) -> dict[UUID, list[Record]]:
        """Return the first extensions of several parents, by parent.

        At most `each` of one parent and `limit` in all. In large extensions each text is cut to
        `most` characters.
        """
        by_parent: dict[UUID, list[Record]] = {ref: [] for ref in refs}
        rows = await work.all(
            "extensions.of_many_cut",
            parts=self.parts,
            parents=list(by_parent),
            each=each,
            limit=limit,
            most=most,
            whole=4 * most,
        )
        for row in rows:
            by_parent[row[f"{self.parent}_ref"]].append(row)
        return by_parent

    async def every_of_many(self, work: Work, refs: Iterable[UUID]) -> dict[UUID, list[Record]]:
        """Return every extension of several parents, by parent, oldest first."""
        by_parent: dict[UUID, list[Record]] = {ref: [] for ref in refs}
        for row in await work.all("extensions.of_many", parts=self.parts, parents=list(by_parent)):
            by_parent[row[f"{self.parent}_ref"]].append(row)
        return by_parent

    async def insert(
        self, work: Work, parent: UUID, siblings: list[Record], changes: Changes
    ) -> Record:
        """Store a new extension of a locked parent.

        Raises `Invalid` if the parent has too many (N-13), and `Conflict` if the key exists.
        """
        if len(siblings) >= MAX_EXTENSIONS:
            reason = f"a maximum of {MAX_EXTENSIONS} data extensions is allowed"
            raise Invalid(Problem("name", reason))
        name, key = changes["name"], changes.get("key", DEFAULT_KEY)
        row = await work.one(
            "extensions.create",
            parts=self.parts,
            parent=parent,
            name=name,
            key=key,
            ref=extension_ref(parent, name, key),
            pairs=Json(changes["pairs"]),
            single=changes["single"],
        )
        if row is None:
            raise Conflict(f"Data extension {name} already exists.")
        return row

    async def store(
        self, work: Work, parent: UUID, stored: Record, pairs: Mapping[str, Any], single: bool
    ) -> Record:
        """Store new pairs of a stored extension of a locked parent."""
        row = await work.one(
            "extensions.rewrite",
            parts=self.parts,
            parent=parent,
            name=stored["name"],
            key=stored["key"],
            pairs=Json(pairs),
            single=single and len(pairs) == 1,
        )
        return row or self.raise_unknown(parent, stored["name"])

    async def remove(self, work: Work, parent: UUID, name: str, key: str | None = None) -> int:
        """Delete all keys of a name (None), or one key, of a locked parent; return the number."""
        parts = {name: self._parts[name] for name in ("table", "column")}
        return await work.run("extensions.delete", parts=parts, parent=parent, name=name, key=key)

    def raise_unknown(self, parent: UUID, name: str) -> Record:
        """Raise `Unknown` for an extension of a parent (X-18)."""
        raise Unknown(GuestExtension.singular, name, parent=(self.owner.singular, parent))

    async def _rewrite(
        self,
        work: Work,
        parent: UUID,
        name: str,
        change: Callable[[Record], tuple[Mapping[str, Any], bool]],
        unique_keys: bool = False,
    ) -> Record:
        """Store the result of `change` on the stored row: its pairs, and whether it shows single.

        Raises `Unknown` and `Invalid`.
        """
        async with work.transaction():
            siblings = await self.lock_and_list(work, parent)
            stored = visible_extension(siblings, name) or self.raise_unknown(parent, name)
            pairs, single = change(stored)
            check_pairs(name, pairs, siblings if unique_keys else ())
            return await self.store(work, parent, stored, pairs, single)

    async def _check_parent(self, work: Work, parent: UUID, query: str) -> None:
        """Raise `Unknown` unless the parent exists; that of a retired guest names its survivor."""
        row = await work.one(query, parts={"row": self._row}, parent=parent)
        if row is None or row["survivor_ref"] is not None:
            raise Unknown(self.owner.singular, parent, survivor=row and row["survivor_ref"])

    @cached_property
    def _parts(self) -> dict[str, tuple[str, ...]]:
        live = ("extensions.guest_is_live",) if self.owner is Guest else ()
        return {**self.parts, "live": live}

    @cached_property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The query parts that select the table and its column of this kind of parent."""
        return {
            "table": (f"extensions.{self.parent}_table",),
            "column": (f"extensions.{self.parent}_column",),
        }

    @cached_property
    def _row(self) -> tuple[str, ...]:
        return (f"extensions.{self.parent}_row",)


OF_GUESTS: Final = Extensions(Guest, "guest")
OF_ORDERS: Final = Extensions(Order, "order")
OF_ORDER_ITEMS: Final = Extensions(OrderItem, "order_item")


def check_pairs(name: str, pairs: Mapping[str, Any], siblings: Iterable[Record]) -> None:
    """Raise `Invalid` for too many pairs (X-5) and for keys that another extension has (X-7)."""
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


def visible_extension(rows: Iterable[Record], name: str) -> Record | None:
    """Return the row of a name that v2.1 shows (VX-8). `rows` are oldest first."""
    named = [row for row in rows if row["name"] == name]
    return next((row for row in named if row["key"] == DEFAULT_KEY), named[0] if named else None)


def one_per_name(rows: list[Record]) -> list[Record]:
    """Return the row of each name that v2.1 shows (VX-8), oldest first."""
    names = dict.fromkeys(row["name"] for row in rows)
    return [record for name in names if (record := visible_extension(rows, name))]
