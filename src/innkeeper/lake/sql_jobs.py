"""Messages between the server and the child process that runs users' SQL."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from innkeeper.lake.change_feed import Lines
from innkeeper.lake.files import storage
from innkeeper.settings import Settings
from innkeeper.store.files import Files

if TYPE_CHECKING:
    from innkeeper.lake.session import Snapshot

FIELD: Final = "definition.sql"
LONGEST: Final = 32 * 1024


class SqlLake(msgspec.Struct):
    """The files of a snapshot, and the file for the members; without our credentials."""

    url: str
    files: dict[str, list[str]]
    old: dict[str, list[str]]
    tail: Lines
    merged: bool
    folder: Path
    """A folder for this job alone, for the result and for data that does not fit in memory."""
    memory_mb: int
    seconds: float
    threads: int

    @classmethod
    def of(cls, snapshot: "Snapshot", folder: Path, seconds: float, threads: int) -> "SqlLake":
        """Return the part of a snapshot that the child needs."""
        return cls(
            url=storage(snapshot.settings).address,
            files=snapshot.files,
            old=snapshot.old,
            tail=snapshot.tail,
            merged=snapshot.merged,
            folder=folder,
            memory_mb=snapshot.settings.sql_memory_mb,
            seconds=seconds,
            threads=threads,
        )

    @property
    def settings(self) -> Settings:
        """Return the settings of the child: the address of the lake, and nothing of the
        database."""
        return Settings(lake=self.url, lake_memory_mb=self.memory_mb)

    @property
    def location(self) -> Files:
        """The storage of the files."""
        return storage(self.settings)

    @property
    def members(self) -> Path:
        """The file of the result: one ref per line."""
        return self.folder / "members.txt"


Task = Literal["members", "explain", "samples"]
"""The action on a lake: write members, measure the query, or read sample values of the views."""


class Job(msgspec.Struct):
    """One text to check, and to run if there is a lake."""

    text: str
    parent: int
    """The process that waits for the child."""
    cpu_seconds: int
    memory_mb: int
    lake: SqlLake | None = None
    task: Task = "members"


def encode_job(job: Job) -> bytes:
    """A job as JSON, paths as text."""
    return msgspec.json.encode(job, enc_hook=str)


def decode_job(encoded: bytes) -> Job:
    """Decode the result of `encode_job`."""
    return msgspec.json.decode(encoded, type=Job, dec_hook=lambda kind, value: kind(value))


class Step(msgspec.Struct):
    """One step of a query that was run, below the step that reads its rows."""

    depth: int
    operator: str
    detail: str
    rows: int
    seconds: float


class Outcome(msgspec.Struct):
    """The result of a job: the number of rows written, or an error."""

    rows: int = 0
    steps: list[Step] = []
    samples: dict[str, dict[str, list[str]]] = {}
    """View -> column -> some of its values."""
    reason: str = ""
    """A problem of the text."""
    position: tuple[int, int] | None = None
    unavailable: str = ""
    """Another problem: files that cannot be reached, or a timeout."""
    exceeded: Literal["", "time", "processor", "memory"] = ""
    """The limit that ended the child."""
