"""Write the file of an export, from the first record to the finished file."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import IO, Any, Final

from innkeeper.actions.bulk import file_exports
from innkeeper.actions.bulk.file_exports import Entity
from innkeeper.rules.spreadsheets import guarded
from innkeeper.store.work import Work
from innkeeper.store.writers import writer
from innkeeper.wire.bulk import export_records
from innkeeper.wire.bulk.export_records import Value


async def write(
    work: Work,
    entity: Entity,
    form: str,
    stream: IO[bytes],
    *,
    compression: str,
    is_guarded: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> int:
    """Write all records of an entity; return their number.

    `compression` is gzip, zstd or an empty text. `report` is called with the number so far. With
    `is_guarded`, texts in CSV that a spreadsheet would run as formulas are marked.
    """
    written = 0

    async def act() -> None:
        nonlocal written
        columns = {}
        if form != "ndjson":
            columns = export_records.columns(entity, await file_exports.list_pairs(work, entity))
        flat = export_records.flat_event if entity == "events" else export_records.flat
        mark = guarded if is_guarded else str
        label = export_records.label
        with writer(form, stream, columns, compression=compression, mark=mark, label=label) as put:

            def put_page(page: Any) -> int:
                values = _VALUES[entity](page)
                put(values if form == "ndjson" else [flat(value) for value in values])
                return len(values)

            # The database reads a page while a thread writes the one before.
            async with aclosing(_ahead(_READ[entity](work))) as pages:
                async for page in pages:
                    written += await asyncio.to_thread(put_page, page)
                    report(written)

    await file_exports.read_snapshot(work, act)
    return written


async def _ahead(pages: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    """Yield the same pages, each read while the previous one is used."""
    coming = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await coming) is not None:
            coming = asyncio.ensure_future(anext(pages, None))
            yield page
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


_READ: Final[Mapping[Entity, Callable[[Work], AsyncIterator[Any]]]] = {
    "guests": file_exports.read_guests,
    "orders": file_exports.read_orders,
    "events": file_exports.read_events,
}
_VALUES: Final[Mapping[Entity, Callable[[Any], list[Value]]]] = {
    "guests": lambda page: [export_records.guest(*one) for one in page],
    "orders": lambda page: [export_records.order(record, page[1]) for record in page[0]],
    "events": lambda page: [export_records.event(row) for row in page],
}
"""The values of a page that is read."""
