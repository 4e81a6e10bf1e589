"""Register this user's running servers, so that a command without --data finds the right one."""

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from platformdirs import user_state_path

from innkeeper.store.data_folder import DataFolder

_FOLDER: Final = "servers"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A registered server."""

    data: str
    """Absolute path of its data folder."""
    url: str


def note(server: RunningServer) -> None:
    """Register a server. If the home folder is not writable, the server runs without being
    registered."""
    with suppress(OSError):
        path = _path(server)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(msgspec.json.encode(asdict(server)))
        half.rename(path)


def forget(server: RunningServer) -> None:
    """Remove the registration."""
    with suppress(OSError):
        _path(server).unlink(missing_ok=True)


def running() -> list[RunningServer]:
    """Return the running servers by data folder; ignores registrations of killed servers."""
    servers = []
    with suppress(OSError):
        for path in sorted(_home().glob("*.json")):
            with suppress(OSError, msgspec.DecodeError):
                server = msgspec.json.decode(path.read_bytes(), type=RunningServer)
                if DataFolder(Path(server.data)).is_owned():
                    servers.append(server)
    return sorted(servers, key=lambda server: server.data)


def _home() -> Path:
    return user_state_path("innkeeper", appauthor=False) / _FOLDER


def _path(server: RunningServer) -> Path:
    return _home() / f"{sha256(server.data.encode()).hexdigest()[:16]}.json"
