"""Uploads and exports at rest: a local folder, or object storage, under one address."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any, Final

from innkeeper.errors import Unavailable
from innkeeper.settings import Settings
from innkeeper.store import temp_files
from innkeeper.store.temp_files import temporary

_LEAST_PUT_SECONDS: Final = 300.0
_SLOWEST_BYTES: Final = 256 * 1024
"""Bytes a second below which storage is taken to hang."""


class Files:
    """Files by name, e.g. `live/uploads/{ref}`; `address` is a folder or an fsspec URL.

    Its methods block: call them from a thread where a server waits. What the storage refuses
    is raised as `Unavailable`.
    """

    def __init__(self, address: str, settings: Settings) -> None:
        self._address = address
        self._settings = settings
        self._local = Path(address) if "://" not in address else None
        self._remote: Any = None

    @classmethod
    def of(cls, settings: Settings) -> "Files":
        """Where the settings want files kept."""
        return cls(settings.files or str(settings.data / "files"), settings)

    @contextmanager
    def staged(self) -> Iterator[IO[bytes]]:
        """A private temporary file to collect an upload in; gone at the end unless `put`."""
        folder = self._staging()
        _private(folder)
        file = tempfile.NamedTemporaryFile(dir=folder, prefix=temp_files.prefix(), delete=False)  # noqa: SIM115
        try:
            with file:
                yield file
        finally:
            Path(file.name).unlink(missing_ok=True)

    def put(self, name: str, staged: IO[bytes]) -> None:
        """Keep a staged file under a name, in place of what was there."""
        staged.flush()
        if self._local is not None:
            os.fsync(staged.fileno())
            path = self._local / name
            _private(path.parent)
            os.replace(staged.name, path)
            return
        with _refusals():
            system, root = self._system()
            system.put_file(staged.name, f"{root}/{name}")

    def open(self, name: str) -> IO[bytes]:
        """A file to be read from its start; raises FileNotFoundError."""
        if self._local is not None:
            return open(self._local / name, "rb")
        with _refusals():
            system, root = self._system()
            opened: IO[bytes] = system.open(f"{root}/{name}", "rb")
            return opened

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """A file as one of this machine, copied for the while if it is elsewhere; raises
        FileNotFoundError."""
        if self._local is not None:
            path = self._local / name
            path.stat()
            yield path
            return
        with temporary(self._settings, "file") as folder:
            with _refusals():
                system, root = self._system()
                system.get_file(f"{root}/{name}", str(folder / "file"))
            yield folder / "file"

    @asynccontextmanager
    async def fetched(self, name: str) -> AsyncIterator[Path]:
        """`local`, for who must not be held up by a file that is elsewhere."""
        with ExitStack() as stack:
            yield await asyncio.to_thread(stack.enter_context, self.local(name))

    def remove(self, name: str) -> bool:
        """Remove a file; whether it was there."""
        if self._local is not None:
            try:
                (self._local / name).unlink()
            except FileNotFoundError:
                return False
            return True
        with _refusals():
            system, root = self._system()
            if not system.exists(f"{root}/{name}"):
                return False
            system.rm_file(f"{root}/{name}")
            return True

    def names(self, folder: str) -> list[str]:
        """The names of all files under a folder."""
        if self._local is not None:
            base = self._local / folder
            return sorted(
                str(path.relative_to(self._local)) for path in base.rglob("*") if path.is_file()
            )
        with _refusals():
            system, root = self._system()
            paths = system.find(f"{root}/{folder}")
            return sorted(path.removeprefix(f"{root}/") for path in paths)

    def sweep(self) -> None:
        """Remove what killed processes left half done."""
        temp_files.sweep(self._staging())

    def _staging(self) -> Path:
        """Where files are collected; one that is kept here is then only given its name."""
        if self._local is not None:
            return self._local / "staged"
        return temp_files.scratch(self._settings)

    def _system(self) -> tuple[Any, str]:
        if self._remote is None:
            # Slow to import, and of no use to most processes.
            import fsspec  # noqa: PLC0415

            # Other processes write there too: what a listing said is true only for a moment.
            system, root = fsspec.core.url_to_fs(self._address, use_listings_cache=False)
            self._remote = (system, root.rstrip("/"))
        remote: tuple[Any, str] = self._remote
        return remote


def seconds_to_put(size: int) -> float:
    """After how long a `put` of so many bytes is taken to hang."""
    return _LEAST_PUT_SECONDS + size / _SLOWEST_BYTES


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, ImportError):
        raise
    except Exception as error:
        # Each kind of storage has errors of its own, which are no OSError everywhere.
        raise Unavailable("The file storage cannot be reached.") from error
