"""Undo the transactions of an import of events, the last ones first.

An event may write rows of many tables. Triggers record what the import changes
(`event_batch.write`, `store/functions/import_rows.sql`); a row that was changed since, or that
something else refers to, blocks the undo of the transaction that wrote it, and so of the earlier
ones that wrote the same rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.identity import ledger, rulebook
from innkeeper.store.work import Row, Work

CHUNK: Final = 2000
"""Rows per transaction, besides the others of the same transactions of the import."""
PREVIEW_ROWS: Final = 10_000
"""Most rows that a preview checks, the last ones; the job checks all."""
COUNTED: Final = (
    *("guests", "browsers", "sessions", "events", "quarantine", "orders"),
    *("order_items", "order_contacts", "order_consumers"),
    *("guest_extensions", "order_extensions", "order_item_extensions"),
)
"""Tables whose rows a preview counts."""


@dataclass(frozen=True, slots=True)
class EventUndoCheck:
    """The preview of the undo of an import of events."""

    counts: Sequence[Row]
    """`table_name`, `removed`, `restored`."""
    blocked: Sequence[Row]
    """`reason`, `removed` (the number of guests and orders), `examples`: words and refs."""
    lists: Sequence[Row]
    """`name` of a static list, and how many of its `guests` are removed."""
    is_complete: bool


async def check(work: Work, batch: UUID, rows_max: int | None = PREVIEW_ROWS) -> EventUndoCheck:
    """Return what an undo would do; `rows_max` limits it to the last rows that were written."""
    last = (await work.all("import_undo.last_row", batch=batch))[0]["sequence"] or 0
    after = 0 if rows_max is None else max(last - rows_max, 0)
    async with work.transaction():
        if rows_max is None:
            await work.run("identity.no_timeout")
        rows = await work.all("import_undo.check_rows", batch=batch, after=after)
        lists = await work.all("import_undo.lists_of_event_guests", batch=batch, after=after)
    return EventUndoCheck(
        [row for row in rows if row["table_name"] in COUNTED],
        [row for row in rows if row["reason"] is not None],
        lists,
        is_complete=after == 0,
    )


async def undo_chunk(
    work: Work, batch: UUID, since: datetime, before: int | None, version: UUID
) -> tuple[int, list[Row]] | None:
    """Undo the last transactions of an import before a position, in the caller's transaction.

    Returns the position after them and what was removed and restored; None at the end. `since` is
    when the import began. The transaction keeps the identity rules of `version` in force.
    """
    if before is None:
        before = ((await work.all("import_undo.last_row", batch=batch))[0]["sequence"] or 0) + 1
    rows = await work.all(
        "import_undo.undo_rows", batch=batch, since=since, before=before, most=CHUNK
    )
    if not rows:
        return None
    await _renew_keys(work, [row["ref"] for row in rows if row["table_name"] == "guests"], version)
    return rows[-1]["reached"], [row for row in rows if row["table_name"] in COUNTED]


async def finish(work: Work, batch: UUID) -> None:
    """Delete the types of attributes that an undone import wrote and that no event has."""
    async with work.transaction():
        await work.run("identity.no_timeout")
        await work.run("import_undo.forget_attributes", batch=batch)


async def _renew_keys(work: Work, refs: Sequence[UUID], version: UUID) -> None:
    """Derive the identity keys of restored guests again, by the rules in force."""
    rows: list[Any] = await work.all("import_undo.guests", refs=list(refs)) if refs else []
    if not rows:
        return
    book = await rulebook.of_version(work, version)
    await ledger.renew_keys(work, rows, book)
