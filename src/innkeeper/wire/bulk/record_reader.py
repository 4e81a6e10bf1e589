"""Read the records of a file, a large one in a process of its own, so that both cores work."""

import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

from innkeeper.actions.bulk.creations import CreationTerms
from innkeeper.actions.bulk.packed_records import PackedRecords
from innkeeper.errors import Unavailable
from innkeeper.rules.batch import BatchRecord
from innkeeper.store.readers import Chunk
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.reader_start import LEAST_BYTES, Process, has_reader, start_reader

_KILLED: Final = "The process that read the file was killed."
"""E.g. for lack of memory: the file has no fault."""


@dataclass(slots=True)
class RecordReader:
    """Reads the chunks of records of a file."""

    layout: Layout
    path: Path
    after: int = 0
    """The line or row after which it reads."""
    terms: CreationTerms | None = None
    """The terms under which rows are encoded in advance; None to encode none."""
    position: int = 0
    """Bytes of the file that were read; 0 for formats that are not read in order."""
    process: Process | None = None
    """A process that was started for this file; by default it starts one if the file is large."""

    def chunks(self) -> Iterator[Chunk[BatchRecord]]:
        """Yield the chunks; raises `Unreadable` and OperatorError while they are read, and
        `Unavailable` if the process that reads them is killed."""
        if has_reader(self.path, LEAST_BYTES):
            try:
                yield from self._chunks_of_process()
            except BrokenPipeError:
                raise Unavailable(_KILLED) from None
        else:
            yield from self.chunks_here()

    def chunks_here(self, into: Callable[[], Any] = list) -> Iterator[Chunk[BatchRecord]]:
        """Yield the same chunks, read by this process; their records are collected as `chunks` of
        `store/readers` does."""
        with self.layout.opened(self.path) as source:
            for chunk in self.layout.chunks(source, self.after, into):
                self.position = 0 if isinstance(source, Path) else source.tell()
                yield chunk

    def _chunks_of_process(self) -> Iterator[Chunk[BatchRecord]]:
        with self.process or start_reader() as process:
            try:
                if process.stdin is None or process.stdout is None:
                    raise RuntimeError("a reader process has no pipes")
                pickle.dump((replace(self, process=None), os.getpid()), process.stdin)
                process.stdin.flush()
                for chunk in self._received(process.stdout):
                    yield chunk
                    items = chunk.items
                    if isinstance(items, PackedRecords) and items.read_again > len(items) // 2:
                        # Most guests and orders exist: their records are to be sent as they are.
                        process.stdin.close()
            finally:
                process.kill()

    def _received(self, stream: IO[bytes]) -> Iterator[Chunk[BatchRecord]]:
        read = None if self.layout.is_grouped else self.layout.reader()
        while True:
            try:
                message: Any = pickle.load(stream)  # noqa: S301 - from our own process
            except (EOFError, pickle.UnpicklingError):
                raise Unavailable(_KILLED) from None
            if isinstance(message, Exception):
                raise message
            chunk, self.position = message
            if chunk is None:
                return
            if isinstance(chunk.items, PackedRecords):
                chunk.items.read = read
            yield chunk
