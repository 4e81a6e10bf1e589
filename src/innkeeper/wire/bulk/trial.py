"""Try a mapping on sample rows: count records, refusals, and the values that identify guests."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from innkeeper.resources.base import Record
from innkeeper.rules.batch import BatchRecord, GuestWrite, OrderWrite, RecordError
from innkeeper.rules.identity_rules import IdentityRules, rule_keys
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.mapping import ColumnMapping


@dataclass(slots=True)
class Trial:
    """Outcome of a mapping on sample rows."""

    records: int = 0
    failed: int = 0
    left_out: int = 0
    """Cells that are left out of records that pass."""
    refused: Counter[str] = field(default_factory=Counter)
    """Reason -> records."""
    examples: dict[str, int] = field(default_factory=dict)
    """Reason -> line of the first such record."""
    recognised: Counter[str] = field(default_factory=Counter)
    """Identity rule -> records that have a value for it."""
    unidentified: int = 0
    """Records that no rule applies to; an import refuses them."""

    def reasons(self, most: int) -> list[dict[str, Any]]:
        """Return the most frequent reasons of refused records: reason, count, line."""
        return [
            {"reason": reason, "count": count, "line": self.examples[reason]}
            for reason, count in self.refused.most_common(most)
        ]

    def sentence(self) -> str:
        """Return the sentence that lists the values that records are recognised by, and counts
        records without any."""
        return f"Of {self.records} sample records: {self.recognition()}"

    def recognition(self) -> str:
        """Return the values that rows are recognised by, and the number of rows without any."""
        by = ", ".join(f"{name} ({count})" for name, count in self.recognised.most_common())
        return (
            f"Rows will be recognised by {by or 'nothing'}; {self.unidentified} have nothing that "
            "an identity rule uses."
        )


def try_mapping(
    entity: str,
    mapping: ColumnMapping,
    rows: Sequence[Mapping[str, Any]],
    lines: Sequence[int],
    rules: IdentityRules,
) -> Trial:
    """Read sample rows as an import does, without writing."""
    trial = Trial()
    numbered = zip(lines, rows, strict=True)
    records = Layout(entity, "csv", False, mapping).records(numbered, mapping)
    for record in (each for chunk in records for each in chunk.items):
        trial.records += 1
        if isinstance(record.what, RecordError):
            trial.failed += 1
            for reason in record.what.errors or (record.what.message,):
                trial.refused[reason] += 1
                trial.examples.setdefault(reason, record.line)
            continue
        trial.left_out += len(record.left_out)
        person = _person(record)
        if person is not None:
            _count_rules(trial, person, rules)
    return trial


def _person(record: BatchRecord) -> Record | None:
    if isinstance(record.what, GuestWrite):
        return record.what.changes
    return record.what.contact.changes if isinstance(record.what, OrderWrite) else None


def _count_rules(trial: Trial, person: Record, rules: IdentityRules) -> None:
    matching = [
        rule.name
        for rule in rules.rules
        if any(True for _ in rule_keys(person, rule, rules.region, None))
    ]
    if not rules.rules and person.get("identifiers"):
        matching = ["identifiers"]
    if matching:
        trial.recognised[matching[0]] += 1
    else:
        trial.unidentified += 1
