"""Records of a chunk that another process read, unpacked if one of them is needed."""

import pickle
from collections.abc import Sequence
from typing import overload

from innkeeper.actions.bulk.creations import Creations
from innkeeper.rules.batch import BatchRecord


class PackedRecords(Sequence[BatchRecord]):
    """A sequence of records, which are mostly written without being unpacked."""

    def __init__(self, records: Sequence[BatchRecord], creations: Creations | None) -> None:
        """`creations`: what the records create."""
        self.creations = creations
        self._packed = pickle.dumps(records, pickle.HIGHEST_PROTOCOL)
        self._length = len(records)
        self._unpacked: Sequence[BatchRecord] | None = None
        self.ends = records[0], records[-1]
        self.with_left_out = [record for record in records if record.left_out]
        """The records of which cells were left out."""

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> BatchRecord: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[BatchRecord]: ...
    def __getitem__(self, at: int | slice) -> BatchRecord | Sequence[BatchRecord]:
        if self._unpacked is None:
            if at in (0, -1):
                return self.ends[at]
            self._unpacked = pickle.loads(self._packed)  # noqa: S301 - packed by our own process
        return self._unpacked[at]
