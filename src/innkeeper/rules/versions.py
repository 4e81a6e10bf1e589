"""Versions of stored records: which one a caller has read, and whether a write still meets it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from innkeeper.errors import Outdated

ROW_VERSION: Final = "row_version"
"""Name of the column that changes with every write to a row, where a record has one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The versions that a write may replace; None for whichever there is (`If-Match: *`)."""

    versions: frozenset[str] | None = None

    def check(self, version: str | None) -> None:
        """Raise `Outdated` unless `version` is one of these; None is that of what has none."""
        if self.versions is not None and version not in self.versions:
            raise Outdated(version)


def version_of(record: Mapping[str, Any]) -> str:
    """A word for the state of a stored record: another one after each write to it."""
    changed = round(record["modified_at"].timestamp() * 1_000_000)
    row = record.get(ROW_VERSION)
    return f"{changed:x}" if row is None else f"{changed:x}-{int(row):x}"


def expect(expected: Expected | None, record: Mapping[str, Any]) -> None:
    """Raise `Outdated` when a caller expects another version of a record, which is locked."""
    if expected is not None:
        expected.check(version_of(record))
