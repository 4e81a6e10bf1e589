"""Exports to files: guests, orders or events as they are at one moment, a page at a time."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit, background
from innkeeper.actions.paging import Page, flat
from innkeeper.errors import Unknown
from innkeeper.resources.base import Record
from innkeeper.rules.audited import FILE_EXPORT
from innkeeper.store.files import Files
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
    """What belongs to some orders, by order or item."""

    items: Mapping[UUID, list[Row]] = field(default_factory=dict)
    contacts: Mapping[UUID, list[Row]] = field(default_factory=dict)
    consumers: Mapping[UUID, list[Row]] = field(default_factory=dict)
    extensions: Mapping[UUID, list[Row]] = field(default_factory=dict)
    item_extensions: Mapping[UUID, list[Row]] = field(default_factory=dict)
    uses: Mapping[UUID, list[Row]] = field(default_factory=dict)


GuestPage = list[tuple[Record, list[Row]]]


async def guests(work: Work) -> AsyncIterator[GuestPage]:
    """Every live guest, each with its data extensions. Use it in `one_moment`."""
    async for rows in _pages(work, "file_exports.guests"):
        refs = [row["ref"] for row in rows]
        found = _by(await work.all("privacy.extensions", guests=refs), "guest_ref")
        yield [(flat(row), found[row["ref"]]) for row in rows]


async def orders(work: Work) -> AsyncIterator[tuple[list[Record], ExportedParts]]:
    """Every order, each page with what belongs to its orders. Use it in `one_moment`."""
    async for rows in _pages(work, "file_exports.orders"):
        refs = [row["ref"] for row in rows]
        people = {
            name: await work.all(
                "order_writes.people", parts={"table": [f"order_people.{name}"]}, orders=refs
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
        )
        yield [flat(row) for row in rows], parts


async def events(work: Work) -> AsyncIterator[list[Row]]:
    """Every event by its time. Use it in `one_moment`."""
    at, ref = None, None
    while True:
        rows = await work.all("file_exports.events", after_at=at, after_ref=ref, limit=PAGE)
        if not rows:
            return
        yield rows
        at, ref = rows[-1]["at"], rows[-1]["ref"]


async def one_moment(work: Work, act: Callable[[], Awaitable[None]]) -> None:
    """Do something that sees the data as it is at one moment, and changes nothing."""
    async with work.transaction():
        await work.run("file_exports.one_moment")
        await act()


async def total(work: Work, entity: Entity) -> int:
    """About how many there are, for a progress bar."""
    row = await work.one(f"file_exports.{entity}_total")
    return int(row["total"] or 0) if row else 0


async def pairs(work: Work, entity: Entity) -> list[Row]:
    """Every pair of the data extensions of an entity: name, key, pair, kinds of values."""
    if entity == "events":
        return []
    return await work.all(f"file_exports.{entity[:-1]}_pairs")


async def create(work: Work, entity: Entity, form: str, *, compressed: bool) -> Record:
    """An export, to be written in the background."""
    async with work.transaction():
        row = await work.one(
            "file_exports.create",
            ref=uuid4(),
            entity=entity,
            format=form,
            compressed=compressed,
            actor=work.actor,
            now=clock.now(),
        )
        assert row is not None  # noqa: S101 - an INSERT … RETURNING has a row
        await background.defer(work, TASK, export=str(row["ref"]))
        await audit.record(work, FILE_EXPORT, "create", None, row)
    return row


async def fetch(work: Work, export: UUID) -> Record:
    """One export; raises `Unknown`."""
    row = await work.one("file_exports.fetch", ref=export)
    if row is None:
        raise Unknown(SINGULAR, export)
    return row


async def list_(work: Work, limit: int = 100, offset: int = 0) -> Page:
    """A page of exports, newest first."""
    rows = await work.all("file_exports.list", limit=limit, offset=offset)
    return Page(rows, rows[0]["total"] if rows else 0)


async def move(
    work: Work,
    export: UUID,
    state: str,
    *,
    records: int = 0,
    size: int | None = None,
    fault: str | None = None,
) -> None:
    """Move an export on; a finished one is kept for some days."""
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


async def put_off(work: Work, export: Record, fault: Exception) -> None:
    """Note why an export cannot be written now and raise `Later`; or it has failed, after so many
    attempts."""
    told = await background.put_off(work, "file_exports.put_off", export, fault)
    await move(work, export["ref"], FAILED, fault=told)


async def list_with_files(work: Work) -> list[Row]:
    """Exports whose file is kept: ref, created_at, expires_at."""
    return await work.all("file_exports.kept")


async def remove(work: Work, export: UUID) -> None:
    """Remove the file of an export. Where that fails it stays among those that are `kept`, and a
    job that writes it finds that it is not wanted any more."""
    await work.run("file_exports.removed", ref=export)
    name = file_name(work.workspace, export)
    await asyncio.to_thread(Files.of(work.settings).remove, name)
    await work.run("file_exports.gone", ref=export)


def file_name(workspace: str, export: UUID) -> str:
    """What the file of an export is kept under."""
    return f"{workspace}/exports/{export}"


async def _pages(work: Work, query: str) -> AsyncIterator[list[Row]]:
    after: Any = None
    while True:
        rows = await work.all(query, after=after, limit=PAGE)
        if not rows:
            return
        after = rows[-1]["ref"]
        yield rows


def _by(rows: list[Row], name: str) -> Mapping[UUID, list[Row]]:
    found: dict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[name]].append(row)
    return found
