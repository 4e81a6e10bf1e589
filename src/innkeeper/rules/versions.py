"""Versions of stored records, for writes that must not overwrite a newer version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from innkeeper.errors import Outdated

ROW_VERSION: Final = "row_version"
"""Column that changes with every write to a row; not every record has it."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The versions that a write may replace; None for any (`If-Match: *`)."""

    versions: frozenset[str] | None = None

    def check(self, version: str | None) -> None:
        """Raise `Outdated` unless `version` is one of these; None: the resource has no version."""
        if self.versions is not None and version not in self.versions:
            raise Outdated(version)


def version_of(record: Mapping[str, Any]) -> str:
    """Return the version of a stored record, which changes with each write."""
    changed = round(record["modified_at"].timestamp() * 1_000_000)
    row = record.get(ROW_VERSION)
    return f"{changed:x}" if row is None else f"{changed:x}-{int(row):x}"


def expect(expected: Expected | None, record: Mapping[str, Any]) -> None:
    """Raise `Outdated` if a caller expects another version of a record, which must be locked."""
    if expected is not None:
        expected.check(version_of(record))
