"""Files of records: how the file of a batch or import is read into entries."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import IO, Any, Final

from innkeeper.actions.batches import Holds
from innkeeper.actions.intake import CHUNK
from innkeeper.rules.batch import Entry, Operation, Refused
from innkeeper.store.readers import Chunk, chunks, lines, unzipped
from innkeeper.wire import batch_records

READERS: Final[Mapping[str, Callable[[dict[str, Any]], Operation]]] = {
    "guests": batch_records.guest,
    "orders": batch_records.any_order,
    "events": batch_records.event,
}
"""What reads the values of an import."""


def batch_chunks(stream: IO[bytes], after: int, tracking: bool) -> Iterator[Chunk[Entry]]:
    """The records of a batch past a line; raises `Unreadable` while it is read."""
    read = partial(batch_records.entry, tracking=tracking)
    return chunks(lines(unzipped(stream), after), read, CHUNK)


def value_of(holds: Holds, number: int, text: bytes) -> Entry:
    """The record of a line that holds a value alone, or one in a batch's envelope."""
    try:
        value = batch_records.json_of(text)
    except Refused as refused:
        return Entry(number, None, refused.fault)
    if "schema" in value and "value" in value:
        return batch_records.entry(number, text, tracking=True)
    return batch_records.entry_of(number, value, READERS[holds])
