"""Read a file's records, and encode the rows that they create, for the process that writes them.

Gets a `RecordReader` on standard input, and prints (chunk, position) for each chunk, then (None,
position), or the error. All messages are pickled: both processes are one program.
"""

import pickle
import select
import signal
import sys
from functools import partial
from typing import IO

from innkeeper.actions.bulk.packed_records import PackedRecords
from innkeeper.rules.batch import BatchRecord
from innkeeper.store.memory import collect_seldom
from innkeeper.store.processes import follow_parent, ignore_stop_signals
from innkeeper.store.readers import Chunk, Unreadable, unreadable
from innkeeper.wire.bulk.record_reader import RecordReader


def main() -> None:
    ignore_stop_signals()
    try:
        reader, parent = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own process
    except EOFError:
        return
    follow = follow_parent(signal.SIGKILL, parent)
    if follow is not None:
        follow()
    collect_seldom()
    out = sys.stdout.buffer
    try:
        _send_all(reader, out)
    except BrokenPipeError:
        return
    except Exception as error:
        out.write(_error_message(unreadable(error)))
    out.flush()


def _send_all(reader: RecordReader, out: IO[bytes]) -> None:
    for chunk in reader.chunks_here(partial(_collected, reader)):
        if isinstance(chunk.items, PackedRecords):
            chunk.items.pack(chunk.raw)
        message = (Chunk(chunk.items, chunk.line), reader.position)
        out.write(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
        out.flush()
        del chunk, message  # before the next chunk is read
    out.write(pickle.dumps((None, reader.position)))


def _collected(reader: RecordReader) -> PackedRecords | list[BatchRecord]:
    """Return what collects the records of a chunk, with the rows of creations if they are to be
    encoded."""
    if reader.terms is None:
        return []
    keeps_all = reader.layout.is_grouped or _is_closed(sys.stdin)
    return PackedRecords(reader.terms, keeps_all=keeps_all)


def _is_closed(stdin: IO[str]) -> bool:
    """Whether the other process needs most records: it closes the input then."""
    return bool(select.select([stdin], [], [], 0)[0])


def _error_message(error: Exception) -> bytes:
    """Return an error as a message; its text as `Unreadable` if it cannot be sent."""
    try:
        message = pickle.dumps(error)
        pickle.loads(message)  # noqa: S301 - our own
    except Exception:
        message = pickle.dumps(Unreadable(str(error)))
    return message


if __name__ == "__main__":
    main()
