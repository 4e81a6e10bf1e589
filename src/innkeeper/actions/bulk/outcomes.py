"""Outcomes of the records of a chunk."""

from collections import Counter
from dataclasses import dataclass, field

from innkeeper.rules.batch import BatchRecord, Failure, RecordError


@dataclass(slots=True)
class Outcomes:
    """Number of records by outcome, and the records that failed."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def count(self, outcome: str) -> None:
        """Count one record with this outcome."""
        self.outcomes[outcome] += 1

    def fail(self, record: BatchRecord, error: RecordError) -> None:
        """Add a failed record."""
        self.failures.append(Failure(record.line, record.ref, error))

    def add(self, other: "Outcomes") -> None:
        """Add the outcomes of other records."""
        self.outcomes.update(other.outcomes)
        self.failures += other.failures
