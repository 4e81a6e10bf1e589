"""Find out whether a file has events among other records: those are recorded in another way."""

import asyncio
from pathlib import Path
from typing import Final

from innkeeper.actions.bulk import batches
from innkeeper.store.readers import bounded_blocks
from innkeeper.store.work import Row, Work
from innkeeper.wire.bulk.batch_files import Layout

_EVENT: Final = b'"tracking"'
"""The schema of an event."""
_SCHEMA: Final = b'"schema"'
_LONGEST: Final = len(_EVENT) * len("\\u0074")
"""Length of the longest spelling of `_EVENT`: JSON may escape every letter."""


async def mark_mixed(work: Work, batch: Row, layout: Layout, path: Path) -> Row:
    """Mark a locked batch or import whose file has events among other records, before its first
    record is applied; return it. The layout is prepared."""
    if (
        batch["undo"] is None
        or batch["line"]
        or not await asyncio.to_thread(is_mixed, layout, path)
    ):
        return batch
    return await batches.mark_with_events(work, batch["ref"])


def is_mixed(layout: Layout, path: Path) -> bool:
    """Return whether the schema of events is named anywhere in a batch, or in a file whose first
    megabyte has records of batches; raises `Unreadable`."""
    is_batch = layout.entity == "batch"
    is_lines = layout.form is not None and layout.form.format == "ndjson"
    if layout.entity == "events" or not (layout.tracking if is_batch else is_lines):
        return False
    end = b""
    with path.open("rb") as stream:
        for number, block in enumerate(bounded_blocks(stream, 0)):
            text = _unescaped(end + block)
            if not (number or is_batch or _SCHEMA in text):
                return False
            if _EVENT in text:
                return True
            end = block[-_LONGEST:]
    return False


def _unescaped(text: bytes) -> bytes:
    """Return JSON whose letters of `_EVENT` and `_SCHEMA` are not escaped."""
    if b"\\u00" in text:
        for letter in {*_EVENT, *_SCHEMA} - {*b'"'}:
            for spelling in {f"\\u{letter:04x}", f"\\u{letter:04X}"}:
                text = text.replace(spelling.encode(), bytes((letter,)))
    return text
