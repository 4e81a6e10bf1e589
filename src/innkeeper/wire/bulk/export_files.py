"""Write the file of an export, from the first record to the finished file."""

from collections.abc import AsyncIterator, Callable
from typing import IO

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
            async for values in _values(work, entity):
                put(values if form == "ndjson" else [flat(value) for value in values])
                written += len(values)
                report(written)

    await file_exports.read_snapshot(work, act)
    return written


async def _values(work: Work, entity: Entity) -> AsyncIterator[list[Value]]:
    if entity == "guests":
        async for page in file_exports.read_guests(work):
            yield [export_records.guest(*one) for one in page]
    elif entity == "orders":
        async for records, parts in file_exports.read_orders(work):
            yield [export_records.order(record, parts) for record in records]
    else:
        async for rows in file_exports.read_events(work):
            yield [export_records.event(row) for row in rows]
