"""The data folder: locked by one server at a time, with the address of that server for commands."""

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from innkeeper.errors import OperatorError
from innkeeper.store.private_files import write_private

SERVE: Final = "serve"
_ANNOUNCEMENT: Final = "server.json"
_PAUSE_SECONDS: Final = 0.05
_OWN: Final = frozenset(
    {"lock", "postgres.log", "postgres.new", "scratch", "socket", "metrics", _ANNOUNCEMENT}
    # What is copied beside a dump: the key of its secrets, uploads and exports, the lake.
    | {"secrets.key", "files", "lake"}
)


@dataclass(frozen=True, slots=True)
class Announcement:
    """The addresses of a running server; `dsn` only for its embedded database."""

    pid: int
    url: str
    dsn: str | None = None


class Busy(OperatorError):
    """Another process has locked the folder."""


class DataFolder:
    """The folder given by --data. Its lock ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def has_database(self) -> bool:
        """Whether the folder contains an embedded database."""
        return (self.path / "postgres" / "PG_VERSION").exists()

    def is_owned(self) -> bool:
        """Whether a process has locked the folder; creates nothing."""
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def contents(self) -> list[str]:
        """List the files in the folder that Innkeeper did not create; [] if there is no folder."""
        try:
            return sorted(path.name for path in self.path.iterdir() if path.name not in _OWN)
        except OSError:
            return []

    def claim(self, command: str, wait_seconds: float = 0.0) -> None:
        """Lock the folder until `release`, after creating it if needed.

        Raises Busy if another process still has the lock after `wait_seconds` (at once if that is a
        server), and OperatorError if the folder cannot be used.
        """
        try:
            # A system user that runs the database for root must be able to pass through.
            self.path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(self.path, error) from error
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pid, owner = _owner(lock)
                if (owner == SERVE and command == SERVE) or time.monotonic() > deadline:
                    os.close(lock)
                    raise Busy(
                        f"The data folder {self.path} is in use by another Innkeeper "
                        f"(process {pid}): stop that one, or choose another folder with --data."
                    ) from None
                time.sleep(_PAUSE_SECONDS)
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()} {command}\n".encode(), 0)
            (self.path / _ANNOUNCEMENT).unlink(missing_ok=True)
        except OSError as error:
            os.close(lock)
            raise unusable(self.path, error) from error
        self._lock = lock

    def release(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            (self.path / _ANNOUNCEMENT).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def announce(self, announcement: Announcement) -> None:
        """Write the addresses of this server for commands of the same user."""
        try:
            write_private(self.path / _ANNOUNCEMENT, msgspec.json.encode(announcement).decode())
        except OSError as error:
            raise unusable(self.path, error) from error

    def announced(self) -> Announcement | None:
        """Read the addresses of the server that runs on this folder; None if there are none yet.

        They are valid only while `claim` raises Busy: a killed server leaves them behind.
        """
        try:
            text = (self.path / _ANNOUNCEMENT).read_bytes()
            return msgspec.json.decode(text, type=Announcement)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise unusable(self.path, error) from error


def unusable(path: Path, error: Exception) -> OperatorError:
    """Return one sentence for a folder that the system does not let us use."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return OperatorError(f"The data folder {path} cannot be used: {reason}.")


def _owner(lock: int) -> tuple[str, str]:
    """Return (process id, command) of the process with the lock, as that process wrote them."""
    pid, _, command = os.pread(lock, 100, 0).decode(errors="replace").partition(" ")
    return pid or "unknown", command.strip()
