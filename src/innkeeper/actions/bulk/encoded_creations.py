"""The encoded rows of the creations of a chunk, as one process sends them to another."""

from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from innkeeper.store import binary_rows

_KEY_BYTES: Final = 16

Item = TypeVar("Item")


class EncodedRows(NamedTuple):
    """Rows of a table, as `binary_rows` encodes them: those of one creation after the other."""

    content: bytes
    sizes: bytes
    """Bytes of the rows of each creation, to the last that has some: an `array("I")`."""

    def without(self, left_out: Collection[int]) -> "EncodedRows | None":
        """Return the rows of the creations that `left_out` does not number."""
        parts, sizes, at = list[bytes](), array("I"), 0
        for number, size in enumerate(array("I", self.sizes)):
            if number not in left_out:
                parts.append(self.content[at : at + size])
                sizes.append(size)
            at += size
        content = b"".join(parts)
        return EncodedRows(content, sizes.tobytes()) if content else None


@dataclass(slots=True)
class Creations:
    """The creations of a chunk by column: records whose guest, or order with its guest, is new.

    Refs and keys are 16 bytes, so that many are sent to another process in little time.
    """

    version: UUID
    """Version of the identity rules."""
    written_at: datetime
    """The instant in the rows."""
    positions: list[int] = field(default_factory=list)
    """Position of each record in its chunk."""
    lookups: list[bytes] = field(default_factory=list)
    """Keys of which no guest may have one, one after the other."""
    guests: list[bytes] = field(default_factory=list)
    orders: list[bytes] = field(default_factory=list)
    """Empty for records of guests."""
    references: list[bytes] = field(default_factory=list)
    """Key of the referenceId, which no order may have; empty for records of guests."""
    names: list[Sequence[str]] = field(default_factory=list)
    """Words of the guest's name."""
    providers: list[Sequence[str]] = field(default_factory=list)
    rows: dict[str, EncodedRows] = field(default_factory=dict)
    """Query that copies rows -> rows."""
    locked: dict[str, binary_rows.EncodedKeys] = field(default_factory=dict)
    """The `keys` and `references` that all records of the chunk lock."""
    is_complete: bool = True
    """Whether every valid record of the chunk has a creation."""

    def having(self, stored: Collection[bytes]) -> set[int]:
        """Return the numbers of the creations that have one of these keys."""
        return {
            number
            for number, keys in enumerate(self.lookups)
            if any(keys[at : at + _KEY_BYTES] in stored for at in range(0, len(keys), _KEY_BYTES))
            or (self.references and self.references[number] in stored)
        }

    def without(self, left_out: Collection[int]) -> "Creations":
        """Return the creations without some, which `left_out` numbers."""
        if not left_out:
            return self
        left = [number for number in range(len(self.positions)) if number not in left_out]

        def of(column: Sequence[Item]) -> list[Item]:
            return [column[number] for number in left] if column else []

        rows = {query: each.without(left_out) for query, each in self.rows.items()}
        return replace(
            self,
            positions=of(self.positions),
            lookups=of(self.lookups),
            guests=of(self.guests),
            orders=of(self.orders),
            references=of(self.references),
            names=of(self.names),
            providers=of(self.providers),
            rows={query: each for query, each in rows.items() if each is not None},
            is_complete=False,
        )
