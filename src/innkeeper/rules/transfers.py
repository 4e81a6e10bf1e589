"""Records of another installation that keep their refs (`actions/bulk/transfers.py`)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from innkeeper.resources.base import Record

RETIRED: Final = "RETIRED"
GUESTS: Final = "guests"
RETIRED_GUESTS: Final = "retired guests"
ORDERS: Final = "orders"
ITEMS: Final = "order items"
CONTACTS: Final = "order contacts"
CONSUMERS: Final = "order consumers"
SESSIONS: Final = "sessions"
EVENTS: Final = "events"
BROWSERS: Final = "browsers"
IDENTIFIERS: Final = "identifiers"
EXTENSIONS: Final = "data extensions"
POINTS_OF_SALE: Final = "points of sale"
RULES: Final = "identity rules"

RECORDS: Final = {GUESTS, RETIRED_GUESTS, ORDERS, ITEMS, CONTACTS, CONSUMERS, SESSIONS, EVENTS}
"""Kinds of records; the others are parts of them, or settings."""

NO_SURVIVOR: Final = "it is retired, and its survivor is unknown"
NO_GUEST: Final = "its guest is missing"
NO_ORDER: Final = "its order is missing"
NO_SESSION: Final = "its session is missing"
MOST_FAULTS: Final = 1000
"""Reasons that are counted one by one; of more the rarer ones are counted together."""
OTHER_FAULTS: Final = "other reasons"
BLOCKED: Final = "an identifier of it is on the block list"


@dataclass(slots=True)
class TransferredRecord:
    """A record with its ref, as the columns of its table, and the parts that belong to it."""

    ref: UUID
    row: Record
    extensions: Sequence[Record] = ()
    """Data extensions: `name`, `key`, `ref` (None for a new one), `pairs`."""
    people: Sequence[Record] = ()
    """The order's contacts: rows of `order_contacts`."""
    consumers: Sequence[tuple[Record, Sequence[UUID]]] = ()
    """The order's consumers: rows of `order_consumers`, each with the items it uses."""
    survivor: UUID | None = None
    """The survivor of a retired guest, if the source names it."""
    faults: Counter[str] = field(default_factory=Counter)
    """Values that were left out: `field: reason`."""


@dataclass(frozen=True, slots=True)
class MissingRecord:
    """A record of the source that the workspace lacks."""

    entity: str
    ref: UUID | str
    reason: str

    def line(self) -> dict[str, Any]:
        return {"entity": self.entity, "ref": str(self.ref), "reason": self.reason}


@dataclass(slots=True)
class TransferCounts:
    """The number of records of each kind in the source and in the workspace, and the missing
    records."""

    source: Counter[str] = field(default_factory=Counter)
    target: Counter[str] = field(default_factory=Counter)
    missing: list[MissingRecord] = field(default_factory=list)
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind, `field: reason`) of values that were left out."""

    def add(self, other: "TransferCounts") -> None:
        """Add the counts of another part of the source; its missing records are the caller's."""
        self.source += other.source
        self.target += other.target
        self.faults += other.faults
        for name, _ in self.faults.most_common()[MOST_FAULTS:]:
            self.faults[name[0], OTHER_FAULTS] += self.faults.pop(name)

    @property
    def agree(self) -> bool:
        """Whether the workspace has everything of the source."""
        return all(self.target[name] >= number for name, number in self.source.items())
