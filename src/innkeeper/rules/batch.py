"""Records of batches and imports: their operations, and the documented errors.

`wire` parses lines into these types, and `actions` apply them (batch-api.md 5 to 9).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from msgspec import Struct, field

from innkeeper.errors import Problem
from innkeeper.resources.base import Changes, Record, Resource
from innkeeper.resources.guests import EXTENSION_NAMES, MAX_EXTENSIONS, MAX_PAIRS

CHUNK: Final = 3000
"""Records per transaction, unless they have more identifiers than a transaction may lock."""

GuestMode = Literal["upsert", "merge", "create"]
OrderMode = Literal["insert", "upsert"]

WRITES: Final[tuple[GuestMode, ...]] = ("upsert", "merge", "create")
REMOVALS: Final = ("delete", "gdpr_delete")
ORDER_WRITES: Final[tuple[OrderMode, ...]] = ("insert", "upsert")


class RecordError(Struct, frozen=True):
    """Why a record failed: the documented code and message, and details."""

    code: int
    message: str
    errors: tuple[str, ...] = ()


class RecordRejected(Exception):
    """Aborts one record; the argument is the error to report."""

    def __init__(self, fault: RecordError) -> None:
        super().__init__(fault.message)
        self.fault = fault


NO_IDENTITY: Final = RecordError(400, "Identity information missing")
TOO_LITTLE: Final = RecordError(400, "Not Enough Identifying Info")
AMBIGUOUS_ORDER: Final = RecordError(
    400,
    "More than one order exists with that referenceId, please supply the orderedAt date for the "
    "order you wish to delete",
)
UNSUPPORTED: Final = RecordError(402, "Unsupported mode")
SUPPRESSED: Final = RecordError(403, "Action not allowed", ("the identifier is on the block list",))
SESSION_OPEN: Final = RecordError(403, "Action not allowed", ("the guest has an open session",))
MIGRATES_OPEN: Final = RecordError(403, "Unable to migrate Guest with open session")
NO_GUEST: Final = RecordError(404, "No guest found for the provided identity")
NO_ORDER: Final = RecordError(
    404, "No order found for the provided referenceId and orderedAt attributes"
)
EXISTS: Final = RecordError(409, "Guest already exists")
INTERNAL: Final = RecordError(500, "Internal error")


def invalid(*errors: str) -> RecordError:
    """Return the 400 of an invalid record: a text for each error, none containing a value."""
    return RecordError(400, "Validation error", errors)


def invalid_fields(problems: list[Problem]) -> RecordError:
    """Return the 400 of a record with invalid fields."""
    return invalid(*(problem.message for problem in problems))


class ExtensionRecord(Struct, frozen=True):
    """A data extension in a record; it replaces the stored one with the same name and key."""

    name: str
    key: str
    pairs: dict[str, Any]


class GuestWrite(Struct, frozen=True):
    """Create or change the guest that the changes identify."""

    mode: GuestMode
    changes: Changes
    groups: list[ExtensionRecord] = field(default_factory=list)


class PersonRecord(Struct, frozen=True):
    """A contact or consumer: fields of a guest, and the items that a consumer uses."""

    changes: Changes
    groups: list[ExtensionRecord] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    """referenceIds of the items."""


class ItemRecord(Struct, frozen=True):
    """An item of an order."""

    changes: Changes
    group: ExtensionRecord | None = None

    @property
    def extensions(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(name, key) -> pairs of its data extension."""
        return {} if self.group is None else {(self.group.name, self.group.key): self.group.pairs}


class OrderWrite(Struct, frozen=True):
    """Create or change an order and its contact; an insert also has items and consumers."""

    mode: OrderMode
    changes: Changes
    contact: PersonRecord
    consumers: list[PersonRecord] = field(default_factory=list)
    items: list[ItemRecord] = field(default_factory=list)
    group: ExtensionRecord | None = None
    is_row: bool = False
    """Whether it is one row of a table, whose other rows may hold more lines of the order."""
    contacts: list[PersonRecord] = field(default_factory=list)
    """Further contacts, the newest last."""
    children: Mapping[type[Resource], list[Record]] = field(default_factory=dict)
    """Children that need nothing but their declaration, by kind."""


@dataclass(frozen=True, slots=True)
class GuestDelete:
    """Delete the guest that `person` identifies; `gdpr_delete` deletes the orders as well."""

    mode: str
    person: Record


@dataclass(frozen=True, slots=True)
class OrderDelete:
    """Delete one order (batch-api.md 9)."""

    reference_id: str
    ordered_at: str | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class GuestMigration:
    """Merge the guest of the `source` identifiers into that of the `target` (identity.md 4)."""

    source: Record
    target: Record


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event in the format of the stream API, with the time at which it happened."""

    message: dict[str, Any]


Operation = GuestWrite | OrderWrite | GuestDelete | OrderDelete | GuestMigration | EventRecord


class BatchRecord(Struct, frozen=True):
    """A record of a file: its line (from 1), its own ref, and its operation or error."""

    line: int
    ref: str | None
    what: Operation | RecordError
    left_out: tuple[str, ...] = ()
    """Why cells of its row were left out: `column: reason`, each without a value."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed record: its line (from 1), its own ref, and its error."""

    line: int
    ref: str | None
    fault: RecordError


def check_groups(
    stored: dict[tuple[str, str], dict[str, Any]], groups: Sequence[ExtensionRecord]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return a guest's extensions after `groups` replaced some; raises `RecordRejected`.

    Attribute names are unique across the extensions `ext` to `ext5` (batch-api.md 7). Extensions
    with other names come from older tenants and may repeat them.
    """
    if not stored and len(groups) == 1 and len(groups[0].pairs) <= MAX_PAIRS:
        return {(groups[0].name, groups[0].key): groups[0].pairs}
    after = {**stored, **{(group.name, group.key): group.pairs for group in groups}}
    errors = [
        f"{group.name}: a maximum of {MAX_PAIRS} key-value pairs is allowed"
        for group in groups
        if len(group.pairs) > MAX_PAIRS
    ]
    if len(after) > MAX_EXTENSIONS:
        errors.append(f"extensions: a maximum of {MAX_EXTENSIONS} data extensions is allowed")
    holders: dict[str, tuple[str, str]] = {}
    named = {(group.name, group.key) for group in groups}
    for where, pairs in after.items():
        if where[0] not in EXTENSION_NAMES:
            continue
        for name in pairs:
            other = holders.setdefault(name, where)
            if other != where and (where in named or other in named):
                errors.append(f"{name}: key already exists in data extension {other[0]}")
    if errors:
        raise RecordRejected(invalid(*errors))
    return after
