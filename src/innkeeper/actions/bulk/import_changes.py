"""Record the changes of an import, in the transaction that makes them, so that they can be undone.

Of a new guest or order its ref is recorded, a chunk's in one row; of a row that changes, the row
before. Everything is recorded for whole chunks, before it is written. What an import with events
or of another installation changes is recorded by triggers, row by row (`recorded`).
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from innkeeper.actions.records.extensions import extension_ref
from innkeeper.store.work import Work

if TYPE_CHECKING:
    from innkeeper.actions.bulk.order_batch import OrderState

PartRow = tuple[UUID, UUID, UUID | None]
"""Ref, order and guest of a row of a part of an order."""
ExtensionKey = tuple[UUID, str, str]
"""Parent, name and key of a data extension."""
_PARTS: Final = {"items": None, "contacts": "guest", "consumers": "guest"}


@asynccontextmanager
async def recorded(work: Work, batch: UUID | None) -> AsyncIterator[None]:
    """Record each row that the block writes for the undo of an import, in the caller's transaction;
    nothing if `batch` is None. Each guest and each order can be undone by itself."""
    if batch is None:
        yield
        return
    started = await work.row("import_changes.start_rows", batch=batch)
    yield
    await work.run("import_changes.group_rows", batch=batch, last=started["last"])
    await work.one("import_changes.set_rows", batch="")


@asynccontextmanager
async def unrecorded(work: Work, batch: UUID | None) -> AsyncIterator[None]:
    """Pause `recorded`: what is deleted must not stay stored, and merges have an undo of their
    own."""
    if batch is None:
        yield
        return
    await work.one("import_changes.set_rows", batch="")
    yield
    await work.one("import_changes.set_rows", batch=str(batch))


class ImportChanges:
    """The changes of one chunk of an import; records nothing if `batch` is None."""

    def __init__(self, work: Work, batch: UUID | None, written_at: datetime) -> None:
        self._work = work
        self.batch = batch
        self._written_at = written_at
        self._guests: list[UUID] = []
        self._orders: list[UUID] = []
        self._has_rows = False

    def add_created(self, guests: Iterable[UUID] = (), orders: Iterable[UUID] = ()) -> None:
        """Add guests and orders that the chunk creates."""
        if self.batch is not None:
            self._guests += guests
            self._orders += orders

    async def record_guests(self, refs: Sequence[UUID]) -> None:
        """Record locked guests as they are, before they are written."""
        await self._run("record_guests", refs, refs=list(refs))

    async def record_extensions(
        self,
        of: Literal["guest", "order", "order_item"],
        extensions: Iterable[ExtensionKey],
        orders: Mapping[UUID, UUID] | None = None,
    ) -> None:
        """Record data extensions, before they are written; `orders` has the order of each item."""
        rows = list(extensions)
        parents = [parent for parent, _, _ in rows]
        owner = "guest" if of == "guest" else "order"
        await self._run(
            "record_extensions",
            rows,
            parts={**extension_parts(of), "owner": [f"extensions.{owner}_column"]},
            table_name=f"{of}_extensions",
            parents=parents,
            names=[name for _, name, _ in rows],
            keys=[key for _, _, key in rows],
            refs=[extension_ref(*row) for row in rows],
            owners=parents if orders is None else [orders[parent] for parent in parents],
        )

    async def record_parts(self, table: str, rows: Sequence[PartRow], part: str = "") -> None:
        """Record rows of orders that exist, before they are written; `part` names the table."""
        await self._run(
            "record_parts",
            rows,
            parts={"table": [part or f"{table}.table"]},
            table_name=table,
            refs=[ref for ref, _, _ in rows],
            orders=[order for _, order, _ in rows],
            guests=[guest for _, _, guest in rows],
        )

    async def record_orders(
        self,
        states: Sequence["OrderState"],
        extensions: Mapping[ExtensionKey, Any],
        item_extensions: Mapping[ExtensionKey, Any],
    ) -> None:
        """Record the orders of a chunk with their parts, before they are written."""
        if self.batch is None:
            return
        created = {one.ref for one in states if one.is_new}
        stored = [one for one in states if not one.is_new]
        self.add_created(orders=created)
        orders: list[PartRow] = [(one.ref, one.ref, None) for one in stored if one.changed]
        await self.record_parts("orders", orders, "import_changes.orders")
        for name, guest in _PARTS.items():
            rows: list[PartRow] = [
                (part.ref, one.ref, part.guest if guest else None)
                for one in stored
                for part in getattr(one, name)
                if part.is_new or part.changed
            ]
            await self.record_parts(f"order_{name}", rows)
        await self.record_extensions("order", (one for one in extensions if one[0] not in created))
        items = {part.ref: one.ref for one in stored for part in one.items}
        of_stored = (one for one in item_extensions if one[0] in items)
        await self.record_extensions("order_item", of_stored, items)

    async def flush(self) -> None:
        """Store the refs that the chunk created, and the time of its writes; call it once all is
        written."""
        if self._guests or self._orders or self._has_rows:
            await self._work.run(
                "import_changes.record_chunk",
                batch=self.batch,
                written_at=self._written_at,
                guests=self._guests,
                orders=self._orders,
            )

    async def _run(self, query: str, rows: Sequence[Any], **params: Any) -> None:
        if self.batch is None or not rows:
            return
        self._has_rows = True
        await self._work.run(
            f"import_changes.{query}", batch=self.batch, written_at=self._written_at, **params
        )


def extension_parts(of: str) -> dict[str, list[str]]:
    """Return the parts of the queries of the data extensions of a kind of parent."""
    return {name: [f"extensions.{of}_{name}"] for name in ("table", "column")}
