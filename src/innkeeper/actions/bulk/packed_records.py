"""Records of a chunk that another process read, most of which are written without being needed."""

import pickle
from collections.abc import Callable, Sequence
from typing import Any, overload

from innkeeper.actions.bulk.encoded_creations import Creations
from innkeeper.rules.batch import BatchRecord


class PackedRecords(Sequence[BatchRecord]):
    """A sequence of records. Those that have creations are packed as lines or rows of the file,
    from which they are read if they are needed."""

    def __init__(
        self,
        records: Sequence[BatchRecord],
        creations: Creations | None,
        raw: Sequence[tuple[int, Any]] = (),
    ) -> None:
        """`creations`: what the records create; `raw`: their numbers, and lines or rows; without
        it all records are packed as they are."""
        self.creations = creations
        self.read: Callable[[int, Any], BatchRecord] | None = None
        """Reads a line or row; set by the process that receives the records."""
        self.read_again = 0
        """Records that were read from their line or row."""
        created = {*creations.positions} if creations and raw else ()
        left = {*range(len(records))}.difference(created) | {0, len(records) - 1}
        self._records = {at: records[at] for at in left}
        self._packed = pickle.dumps(raw if created else (), pickle.HIGHEST_PROTOCOL)
        self._raw: Sequence[tuple[int, Any]] | None = None
        self._length = len(records)
        self.with_left_out = [record for record in records if record.left_out]
        """The records of which cells were left out."""

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
