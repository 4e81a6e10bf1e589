"""The output of `innkeeper import`: progress, counts, and the matches of a dry run."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innkeeper.cli.import_files import is_elsewhere

if TYPE_CHECKING:
    from innkeeper.actions.bulk.outcomes import Match
    from innkeeper.wire.bulk.record_reader import RecordReader


@dataclass
class ImportTotals:
    """Counts of records over all files of a command."""

    records: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Reason for which cells were left out of imported rows -> number of cells."""
    refused: list[dict[str, Any]] = field(default_factory=list)
    """Reason, count, line and value of failed records."""
    matches: list["Match"] = field(default_factory=list)
    """The first records of a dry run that change a guest."""
    unreadable: list[str] = field(default_factory=list)
    """Files that could not be read to their end."""

    def add_left_out(self, reasons: Mapping[str, int]) -> None:
        """Add reasons of cells that were left out, with the number of cells."""
        from innkeeper.actions.bulk.outcomes import add_reasons

        add_reasons(self.left_out, Counter(reasons))

    def summary(self) -> dict[str, Any]:
        return {
            "records": self.records,
            **dict(sorted(self.outcomes.items())),
            "failed": self.failed,
            **({"leftOut": self.left_out.total()} if self.left_out else {}),
        }

    def report(self) -> dict[str, Any]:
        """Return the summary with the reasons of failures, and the guests that a dry run would
        change."""
        matches = [
            {
                "line": one.line,
                "outcome": one.outcome,
                **({"guest": str(one.guest)} if one.guest else {}),
                "rule": one.rule,
                "evidence": one.evidence,
            }
            for one in self.matches
        ]
        return {
            **self.summary(),
            **({"leftOutCells": dict(self.left_out)} if self.left_out else {}),
            **({"refused": self.refused} if self.refused else {}),
            **({"matches": matches} if matches else {}),
        }


def show_matches(matches: Sequence["Match"]) -> None:
    """Print which records of a dry run change which guests, and why."""
    for match in matches:
        person = f"guest {match.guest}" if match.guest else "a guest of this file"
        values = ", ".join(each["value"] for each in match.evidence)
        print(f"  line {match.line}: {person}, rule {match.rule} ({values})", file=sys.stderr)


@contextmanager
def show_progress(
    name: str, reader: "RecordReader", *, quiet: bool
) -> Iterator[Callable[[int], None]]:
    """Show a progress bar over the file's bytes, with records, rate and remaining time; yields
    what updates it with the number of records."""
    if quiet:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    is_in_order = not is_elsewhere(name) and not reader.layout.is_packed
    size = Path(name).stat().st_size if is_in_order else None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[records]:,} records, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=size, records=0, rate=0.0)
        first: int | None = None

        def follow(records: int) -> None:
            nonlocal first
            first = records if first is None else first
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = (records - first) / elapsed if elapsed else 0.0
            bar.update(task, completed=reader.position, records=records, rate=rate)

        yield follow
