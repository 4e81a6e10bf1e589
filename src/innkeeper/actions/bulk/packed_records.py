"""Records of a chunk that one process reads and another writes, most without needing them."""

import pickle
from collections.abc import Callable, Sequence
from typing import Any, Final, overload

from innkeeper.actions.bulk.creations import CreationEncoder, CreationTerms
from innkeeper.actions.bulk.encoded_creations import Creations
from innkeeper.rules.batch import BatchRecord

_TOGETHER: Final = 100
"""Records that are encoded together: few enough for the processor's cache."""


class PackedRecords(Sequence[BatchRecord]):
    """A sequence of records: `append` each, then `pack` them. Those that have creations are packed
    as lines or rows of the file, from which they are read if they are needed."""

    def __init__(self, terms: CreationTerms, *, keeps_all: bool) -> None:
        """`keeps_all`: whether all records are packed as they are."""
        self._encoder: CreationEncoder | None = CreationEncoder(terms)
        self._keeps_all = keeps_all
        self.creations: Creations | None = None
        """What the records create."""
        self.read: Callable[[int, Any], BatchRecord] | None = None
        """Reads a line or row; set by the process that receives the records."""
        self.read_again = 0
        """Records that were read from their line or row."""
        self._records = dict[int, BatchRecord]()
        self._unpacked = list[BatchRecord]()
        self._packed = b""
        self._raw: Sequence[tuple[int, Any]] | None = None
        self._length = 0
        self.with_left_out = list[BatchRecord]()
        """The records of which cells were left out."""

    def append(self, record: BatchRecord) -> None:
        """Add the next record."""
        if len(self._unpacked) == _TOGETHER:
            self._pack_some()
        self._unpacked.append(record)
        self._length += 1

    def pack(self, raw: Sequence[tuple[int, Any]]) -> None:
        """End the sequence, before it is sent. `raw`: the numbers, and lines or rows, of all
        records."""
        last = self._unpacked[-1]
        self._pack_some()
        self._records[self._length - 1] = last
        self.creations = self._encoder.creations() if self._encoder else None
        self._encoder = None
        needed = raw if len(self._records) < self._length else ()
        self._packed = pickle.dumps(needed, pickle.HIGHEST_PROTOCOL)

    def _pack_some(self) -> None:
        """Encode the creations of the records that were added since it was last called."""
        if self._encoder is None:
            raise RuntimeError("the records are packed")
        first = self._length - len(self._unpacked)
        for position, record in enumerate(self._unpacked, first):
            if not self._encoder.add(record) or self._keeps_all or position == 0:
                self._records[position] = record
            if record.left_out:
                self.with_left_out.append(record)
        self._unpacked.clear()

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> BatchRecord: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[BatchRecord]: ...
    def __getitem__(self, at: int | slice) -> BatchRecord | Sequence[BatchRecord]:
        every = range(self._length)[at]
        return self._record(every) if isinstance(every, int) else [self._record(n) for n in every]

    def _record(self, at: int) -> BatchRecord:
        if at not in self._records:
            if self.read is None:
                raise RuntimeError("packed records have no reader")
            if self._raw is None:
                self._raw = pickle.loads(self._packed)  # noqa: S301 - packed by our own process
            self.read_again += 1
            self._records[at] = self.read(*self._raw[at])
        return self._records[at]
