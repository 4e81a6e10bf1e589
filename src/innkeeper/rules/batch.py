"""Records of batches and imports: what each asks for, and the documented ways to fail.

Pure: `wire` reads lines into these, `actions` carry them out (batch-api.md 5 to 9).
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from innkeeper.errors import Problem
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import EXTENSION_NAMES, MAX_EXTENSIONS, MAX_PAIRS

GuestMode = Literal["upsert", "merge", "create"]
OrderMode = Literal["insert", "upsert"]

WRITES: Final[tuple[GuestMode, ...]] = ("upsert", "merge", "create")
REMOVALS: Final = ("delete", "gdpr_delete")
ORDER_WRITES: Final[tuple[OrderMode, ...]] = ("insert", "upsert")


@dataclass(frozen=True, slots=True)
class RecordError:
    """Why a record failed: code and message as documented, and what exactly."""

    code: int
    message: str
    errors: tuple[str, ...] = ()


class RecordRejected(Exception):
    """Stops one record; the argument is its fault."""

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
NOT_ALLOWED: Final = RecordError(403, "Action not allowed")
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
    """The 400 of a record that breaks rules: one text an error, none with a value in it."""
    return RecordError(400, "Validation error", errors)


def invalid_fields(problems: list[Problem]) -> RecordError:
    """The same for problems of fields."""
    return invalid(*(problem.message for problem in problems))


@dataclass(frozen=True, slots=True)
class ExtensionRecord:
    """A data extension as a record sends it: it overwrites what is stored under name and key."""

    name: str
    key: str
    pairs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class GuestWrite:
    """Create or change the guest whom the changes identify."""

    mode: GuestMode
    changes: Changes
    groups: list[ExtensionRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A contact or consumer: fields of a guest, and for a consumer the items it uses."""

    changes: Changes
    groups: list[ExtensionRecord] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    """Their referenceIds."""


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One thing of an order."""

    changes: Changes
    group: ExtensionRecord | None = None

    @property
    def extensions(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The pairs of its data extension, by name and key."""
        return {} if self.group is None else {(self.group.name, self.group.key): self.group.pairs}


@dataclass(frozen=True, slots=True)
class OrderWrite:
    """Create or change an order with its contact; items and consumers come with an insert."""

    mode: OrderMode
    changes: Changes
    contact: PersonRecord
    consumers: list[PersonRecord] = field(default_factory=list)
    items: list[ItemRecord] = field(default_factory=list)
    group: ExtensionRecord | None = None
    is_row: bool = False
    """One row of a table: other rows may hold other lines of the same order."""


@dataclass(frozen=True, slots=True)
class GuestDelete:
    """Remove the guest whom `person` identifies; `gdpr_delete` takes the orders as well."""

    mode: str
    person: Record


@dataclass(frozen=True, slots=True)
class OrderDelete:
    """Remove one order (batch-api.md 9)."""

    reference_id: str
    ordered_at: str | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class GuestMigration:
    """Merge the guest of some identifiers into the guest of others (identity.md 4)."""

    source: Record
    target: Record


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as the stream API takes it, with the time it happened."""

    message: dict[str, Any]


Operation = GuestWrite | OrderWrite | GuestDelete | OrderDelete | GuestMigration | EventRecord


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One record of a file: its line (from 1), its own ref, and what it asks for."""

    line: int
    ref: str | None
    what: Operation | RecordError


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that failed."""

    line: int
    ref: str | None
    fault: RecordError


def check_groups(
    stored: dict[tuple[str, str], dict[str, Any]], sent: list[ExtensionRecord]
) -> dict[tuple[str, str], dict[str, Any]]:
    """The extensions of a guest after `sent` overwrote some; raises `Refused`.

    Attribute names are unique over the groups `ext` to `ext5` (batch-api.md 7); groups of other
    names are those of older tenants, which repeat them.
    """
    after = {**stored, **{(group.name, group.key): group.pairs for group in sent}}
    errors = [
        f"{group.name}: a maximum of {MAX_PAIRS} key-value pairs is allowed"
        for group in sent
        if len(group.pairs) > MAX_PAIRS
    ]
    if len(after) > MAX_EXTENSIONS:
        errors.append(f"extensions: a maximum of {MAX_EXTENSIONS} data extensions is allowed")
    holders: dict[str, tuple[str, str]] = {}
    named = {(group.name, group.key) for group in sent}
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
