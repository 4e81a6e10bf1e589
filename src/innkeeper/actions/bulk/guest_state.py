"""The state of a guest while a chunk of a batch or import is applied, and the source of records."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from innkeeper.resources.base import Record
from innkeeper.store.work import Row

Extensions = dict[tuple[str, str], dict[str, Any]]


@dataclass(slots=True)
class GuestState:
    """A guest of the batch: its stored row (None for a new guest), and its current state."""

    stored: Row | None
    visible: Record
    keys: list[UUID]
    changed: bool = False
    created_by_dry_run: bool = False
    """Whether an earlier chunk of a dry run created it."""
    extensions: Extensions | None = None
    """Its data extensions; None until they are read."""
    new_extensions: Extensions = field(default_factory=dict)
    """Data extensions to write."""

    @property
    def is_from_file(self) -> bool:
        """Whether an earlier record of the chunk, or of the dry run, created it."""
        return self.stored is None or self.created_by_dry_run

    @property
    def is_merged(self) -> bool:
        """Whether it belongs to a merged group; only `ledger` writes to such a guest."""
        row = self.stored
        return row is not None and (row["survivor_ref"] is not None or row["unmerged"] is not None)


@dataclass(frozen=True, slots=True)
class RecordSource:
    """The source of records, as it is stored with their joins."""

    name: str
    ref: UUID | None = None
    dry_run: bool = False
    """Write only to temporary tables of this connection, to report what would happen."""
    is_recorded: bool = False
    """Whether what its guests and orders change is recorded, so that it can be undone."""
    records_rows: bool = False
    """Whether everything is recorded row by row instead, since there are events (`event_undo`)."""

    @property
    def recording(self) -> UUID | None:
        """The import whose changes are recorded row by row; None for any other."""
        return self.ref if self.records_rows else None
