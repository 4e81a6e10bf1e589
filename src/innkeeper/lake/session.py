"""A snapshot that a query of the lake reads, and the interface of an engine."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from innkeeper.lake.change_feed import Lines
from innkeeper.settings import Settings
from innkeeper.store.files import Files

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True)
class Snapshot:
    """The data that a query sees: every change committed before the snapshot, and none after."""

    workspace: str
    settings: Settings
    location: Files
    sequence: int
    """Number of the last flush that it contains."""
    token: str
    """The PostgreSQL snapshot, which exports store as their sequence."""
    taken_at: datetime
    files: dict[str, list[str]]
    """Table -> paths, oldest first."""
    old: dict[str, list[str]]
    """Kind -> paths of the files of refs whose rows in earlier files are outdated."""
    tail: Lines
    merged: bool
    """Whether any guest is merged into another."""


@dataclass(frozen=True)
class Form:
    """The format of a file of results, for every engine."""

    options: str
    """Options of DuckDB's COPY, which writes the file."""
    as_text: bool = False
    """Whether each row is JSON text, in a member `data`."""


class LakeSession(Protocol):
    """An engine with the views of one snapshot. Use it in one thread at a time."""

    def rows(self, question: "exp.Query", seconds: float) -> list[tuple[Any, ...]]:
        """Return the rows of a query; raises `Unavailable` after `seconds`."""

    def table(self, name: str, column: str, texts: Collection[str]) -> None:
        """Create or replace a table with one text column, for queries to join."""

    def load(self, name: str, column: str, path: Path) -> None:
        """The same from a local file with one word per line."""

    def copy(self, question: "exp.Query", path: Path, form: Form, seconds: float) -> int:
        """Write the rows of a query to a local file; return their number."""

    def batches(
        self, question: "exp.Query", size: int, seconds: float
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query in chunks."""

    def interrupt(self) -> None:
        """Interrupt a query that another thread runs."""

    def close(self) -> None:
        """Release the snapshot."""
