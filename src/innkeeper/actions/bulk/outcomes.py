"""What became of the records of a chunk."""

from collections import Counter
from dataclasses import dataclass, field

from innkeeper.rules.batch import BatchRecord, Failure, RecordError


@dataclass(slots=True)
class Outcomes:
    """Outcomes by name, and the records that failed."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def count(self, outcome: str) -> None:
        """One more record came to this."""
        self.outcomes[outcome] += 1

    def fail(self, entry: BatchRecord, fault: RecordError) -> None:
        """A record failed."""
        self.failures.append(Failure(entry.line, entry.ref, fault))

    def add(self, other: "Outcomes") -> None:
        """What became of other records."""
        self.outcomes.update(other.outcomes)
        self.failures += other.failures
