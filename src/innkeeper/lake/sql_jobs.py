"""What the server and the child process that runs users' SQL send each other."""

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
    """The files of a snapshot, and where to write the members; no credentials of ours."""

    url: str
    files: dict[str, list[str]]
    old: dict[str, list[str]]
    tail: Lines
    merged: bool
    folder: Path
    """A folder of this job's own, for what does not fit in memory and for the answer."""
    memory_mb: int
    seconds: float
    threads: int

    @classmethod
    def of(cls, snapshot: "Snapshot", folder: Path, seconds: float, threads: int) -> "SqlLake":
        """The part of a snapshot that a child needs."""
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
        """Settings of the child: the place of the lake, and nothing of the database."""
        return Settings(lake=self.url, lake_memory_mb=self.memory_mb)

    @property
    def location(self) -> Files:
        """Where the files are."""
        return storage(self.settings)

    @property
    def members(self) -> Path:
        """The file of the answer: a ref a line."""
        return self.folder / "members.txt"


class Job(msgspec.Struct):
    """One text to check, and to run where there is a lake."""

    text: str
    parent: int
    """The process that waits for the child."""
    cpu_seconds: int
    memory_mb: int
    lake: SqlLake | None = None


def encode_job(job: Job) -> bytes:
    """A job as JSON, paths as text."""
    return msgspec.json.encode(job, enc_hook=str)


def decode_job(encoded: bytes) -> Job:
    """What `encode_job` made JSON of."""
    return msgspec.json.decode(encoded, type=Job, dec_hook=lambda kind, value: kind(value))


class Outcome(msgspec.Struct):
    """What became of a job: rows written, or why not."""

    rows: int = 0
    reason: str = ""
    """What is wrong with the text."""
    position: tuple[int, int] | None = None
    unavailable: str = ""
    """What is wrong elsewhere: files that cannot be reached, time that is over."""
    exceeded: Literal["", "time", "processor", "memory"] = ""
    """The limit that ended the child."""
