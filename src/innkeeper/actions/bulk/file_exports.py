"""Exports to files: guests, orders or events of one snapshot, read page by page."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit, background
from innkeeper.actions.paging import Page, PageRequest, flat, read_page
from innkeeper.actions.records.children import PARTS
from innkeeper.errors import existing
from innkeeper.resources.base import Record, Resource
from innkeeper.rules.audited import FILE_EXPORT
from innkeeper.store.files import Files
from innkeeper.store.readers import GZIP
from innkeeper.store.work import Row, Work

Entity = Literal["guests", "orders", "events"]
TASK: Final = "file_exports.write"
"""The background task that writes an export."""
SINGULAR: Final = "Export"
PAGE: Final = 1000
DONE: Final = "done"
FAILED: Final = "failed"


@dataclass(slots=True)
class ExportedParts:
    """The parts of some orders, by order or item."""

    items: Mapping[UUID, list[Row]] = field(default_factory=dict)
    contacts: Mapping[UUID, list[Row]] = field(default_factory=dict)
    consumers: Mapping[UUID, list[Row]] = field(default_factory=dict)
    extensions: Mapping[UUID, list[Row]] = field(default_factory=dict)
    item_extensions: Mapping[UUID, list[Row]] = field(default_factory=dict)
    uses: Mapping[UUID, list[Row]] = field(default_factory=dict)
    others: Mapping[type[Resource], Mapping[UUID, list[Record]]] = field(default_factory=dict)
    """Parts that need nothing but their declaration."""


GuestPage = list[tuple[Record, list[Row]]]


async def read_guests(work: Work) -> AsyncIterator[GuestPage]:
    """Yield every live guest with its data extensions, page by page, refs and instants as text. Use
    it in `read_snapshot`."""
    async for rows in _pages(work, "file_exports.guests", as_text=True):
        refs = [row["ref"] for row in rows]
        more = await work.all_as_text("file_exports.guest_extensions", guests=refs)
        extensions = _by(more, "guest_ref")
        yield [(flat(row), extensions[row["ref"]]) for row in rows]


async def read_orders(work: Work) -> AsyncIterator[tuple[list[Record], ExportedParts]]:
    """Yield every order, page by page with the parts of its orders. Use it in `read_snapshot`."""
    async for rows in _pages(work, "file_exports.orders"):
        refs = [row["ref"] for row in rows]
        people = {
            name: await work.all(
                "order_writes.people", parts={"table": [f"order_{name}.table"]}, orders=refs
            )
            for name in ("contacts", "consumers")
        }
        parts = ExportedParts(
            items=_by(await work.all("order_writes.items", orders=refs), "order_ref"),
            contacts=_by(people["contacts"], "order_ref"),
            consumers=_by(people["consumers"], "order_ref"),
            extensions=_by(await work.all("order_writes.extensions", orders=refs), "order_ref"),
            item_extensions=_by(
                await work.all("file_exports.item_extensions", orders=refs), "order_item_ref"
            ),
            uses=_by(await work.all("file_exports.uses", orders=refs), "ref"),
            others={part: await kind.of_many(work, refs) for part, kind in PARTS.items()},
        )
        yield [flat(row) for row in rows], parts


async def read_events(work: Work) -> AsyncIterator[list[Row]]:
    """Yield every event by time, page by page. Use it in `read_snapshot`."""
    at, ref = None, None
    while True:
        rows = await work.all("file_exports.events", after_at=at, after_ref=ref, limit=PAGE)
        if not rows:
            return
        yield rows
        at, ref = rows[-1]["at"], rows[-1]["ref"]


async def read_snapshot(work: Work, act: Callable[[], Awaitable[None]]) -> None:
    """Run `act` in a read-only transaction on one snapshot of the data."""
    async with work.transaction():
        await work.run("file_exports.use_snapshot")
        await act()


async def estimate_total(work: Work, entity: Entity) -> int:
    """Estimate the number of records of an entity, for progress reports."""
    row = await work.row(f"file_exports.{entity}_total")
    return int(row["total"] or 0)


async def list_pairs(work: Work, entity: Entity) -> list[Row]:
    """List every pair of an entity's data extensions: name, key, pair, JSON types of values."""
    if entity == "events":
        return []
    return await work.all(f"file_exports.{entity[:-1]}_pairs")


async def create(work: Work, entity: Entity, form: str, compression: str) -> Record:
    """Create an export, and queue its writing in the background.

    `compression` is gzip, zstd or an empty text.
    """
    async with work.transaction():
        row = await work.row(
            "file_exports.create",
            ref=uuid4(),
            entity=entity,
            format=form,
            compressed=bool(compression),
            compression=compression or None,
        )
        await background.defer(work, TASK, export=str(row["ref"]))
        await audit.record(work, FILE_EXPORT, "create", None, row)
    return row


def compression_of(export: Row) -> str:
    """Return how the file of an export is compressed: gzip, zstd or an empty text."""
    return export["compression"] or (GZIP if export["compressed"] else "")


async def fetch(work: Work, export: UUID) -> Record:
    """Return one export; raises `Unknown`."""
    return existing(await work.one("file_exports.fetch", ref=export), SINGULAR, export)


async def list_(work: Work, page_request: PageRequest) -> Page:
    """Return a page of exports, newest first."""
    return await read_page(work, "file_exports.list", page_request)


async def set_state(
    work: Work,
    export: UUID,
    state: str,
    *,
    records: int = 0,
    size: int | None = None,
    fault: str | None = None,
) -> None:
    """Set the state of an export. A finished export expires after the retention period."""
    now = clock.now()
    finished = state in (DONE, FAILED)
    await work.run(
        "file_exports.set_state",
        ref=export,
        state=state,
        records=records,
        size=size,
        fault=fault,
        finished=finished,
        expires=now + timedelta(days=work.settings.batch_days) if finished else None,
        now=now,
    )


async def postpone(work: Work, export: Record, fault: Exception) -> None:
    """Store why an export cannot be written now, and raise `RetryAt` to retry it.

    After the last attempt, finish the export as failed instead.
    """
    message = await background.put_off(work, "file_exports.postpone", export, fault)
    await set_state(work, export["ref"], FAILED, fault=message)


async def list_with_files(work: Work) -> list[Row]:
    """List the exports with a stored file: ref, created_at, expires_at."""
    return await work.all("file_exports.with_files")


async def delete_file(work: Work, export: UUID) -> None:
    """Delete the file of an export.

    If that fails, `list_with_files` still lists the export. A job that is writing the file finds
    the export in state `removed` and stops.
    """
    await work.run("file_exports.set_removed", ref=export)
    name = file_name(work.workspace, export)
    await asyncio.to_thread(Files.of(work.settings).remove, name)
    await work.run("file_exports.file_deleted", ref=export)


def file_name(workspace: str, export: UUID) -> str:
    """Return the name under which the file of an export is stored."""
    return f"{workspace}/exports/{export}"


async def _pages(work: Work, query: str, *, as_text: bool = False) -> AsyncIterator[list[Row]]:
    """Yield the rows of a query by pages, in ref order; `as_text` as `Work.all_as_text`."""
    after: Any = None
    read = work.all_as_text if as_text else work.all
    while True:
        rows = await read(query, after=after, limit=PAGE)
        if not rows:
            return
        after = rows[-1]["ref"]
        yield rows


def _by(rows: list[Row], name: str) -> Mapping[Any, list[Row]]:
    """Group rows by a column."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[name]].append(row)
    return groups
