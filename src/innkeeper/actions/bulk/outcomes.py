"""Outcomes of the records of a chunk."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from innkeeper.actions.bulk.packed_records import PackedRecords
from innkeeper.rules.batch import BatchRecord, Failure, RecordError

MOST_MATCHES: Final = 20
"""Most matches that the outcomes of a dry run list."""


MOST_REASONS: Final = 100
"""Most reasons of left-out cells that are counted by themselves, as `batches.progress` does."""
OTHER_REASONS: Final = "other reasons"


def add_reasons(total: Counter[str], more: Counter[str]) -> None:
    """Add reasons of left-out cells to a count; of very many reasons, the rare ones are counted
    together."""
    total.update(more)
    if len(total) > MOST_REASONS + 1:
        rest = total.pop(OTHER_REASONS, 0)
        for reason, count in total.most_common()[MOST_REASONS:]:
            rest += count
            del total[reason]
        total[OTHER_REASONS] = rest


@dataclass(frozen=True, slots=True)
class Match:
    """A record of a dry run that changes a guest, with the guest and the reason."""

    line: int
    outcome: str
    guest: UUID | None
    """The stored guest; None for a guest that an earlier record of the file creates."""
    rule: str | None
    evidence: list[dict[str, str]]


@dataclass(slots=True)
class Outcomes:
    """Number of records by outcome, and the records that failed."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    """The first matches of a dry run."""

    def count(self, outcome: str) -> None:
        """Count one record with this outcome."""
        self.outcomes[outcome] += 1

    def match(self, match: Match) -> None:
        """Add a match, unless there are enough."""
        if len(self.matches) < MOST_MATCHES:
            self.matches.append(match)

    def fail(self, record: BatchRecord, error: RecordError) -> None:
        """Add a failed record."""
        self.failures.append(Failure(record.line, record.ref, error))

    def count_left_out(self, records: Sequence[BatchRecord]) -> Counter[str]:
        """Return reason -> cells that were left out of those of some records that did not fail."""
        if isinstance(records, PackedRecords):
            records = records.with_left_out
        failed = {one.line for one in self.failures}
        imported = (record for record in records if record.left_out and record.line not in failed)
        return Counter(reason for record in imported for reason in record.left_out)

    def add(self, other: "Outcomes") -> None:
        """Add the outcomes of other records."""
        self.outcomes.update(other.outcomes)
        self.failures += other.failures
        self.matches = [*self.matches, *other.matches][:MOST_MATCHES]
