"""What a question to the lake sees, and what an engine that answers it can do."""

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
    """What a question sees: every change committed before it, and none after."""

    workspace: str
    settings: Settings
    location: Files
    sequence: int
    """The last flush it holds."""
    token: str
    """The snapshot of PostgreSQL it is: what an export calls its sequence."""
    taken_at: datetime
    files: dict[str, list[str]]
    """Table -> paths, oldest first."""
    old: dict[str, list[str]]
    """Kind -> paths of files of refs whose rows in earlier files are old."""
    tail: Lines
    merged: bool
    """Whether any guest stands for another."""


@dataclass(frozen=True)
class Form:
    """How rows lie in a file, whichever engine found them."""

    options: str
    """Of DuckDB's COPY, which writes it."""
    as_text: bool = False
    """Whether each row is JSON as text, in a member `data`."""


class LakeSession(Protocol):
    """An engine with the views of one snapshot, used from one thread at a time."""

    def rows(self, question: "exp.Query", seconds: float) -> list[tuple[Any, ...]]:
        """The answer; raises `Unavailable` after `seconds`."""

    def table(self, name: str, column: str, texts: Collection[str]) -> None:
        """A table of one column of text, for questions to name; in place of an earlier one."""

    def load(self, name: str, column: str, path: Path) -> None:
        """The same of a local file of plain words, one a line."""

    def copy(self, question: "exp.Query", path: Path, form: Form, seconds: float) -> int:
        """Write an answer to a local file; how many rows."""

    def batches(
        self, question: "exp.Query", size: int, seconds: float
    ) -> Iterator[list[tuple[Any, ...]]]:
        """The answer, some rows at a time."""

    def close(self) -> None:
        """Forget the snapshot."""
