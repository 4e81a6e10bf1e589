"""Stored files: uploads, exports, and the files of the lake.

Operators choose the storage. Where users may deliver exports to is in `destinations.py`.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from innkeeper.errors import Unavailable
from innkeeper.settings import Settings
from innkeeper.store import temp_files
from innkeeper.store.temp_files import temporary

_LEAST_PUT_SECONDS: Final = 300.0
_SLOWEST_BYTES: Final = 256 * 1024
"""Bytes per second below which the storage counts as hanging."""


class Files:
    """Files by name, e.g. `live/uploads/{ref}`; `address` is a folder or an fsspec URL.

    Methods block: a server calls them in a thread. Errors of the storage are raised as
    `Unavailable`.
    """

    def __init__(self, address: str, settings: Settings) -> None:
        self.address = address.rstrip("/")
        self.is_local = "://" not in address or address.startswith("file://")
        self.root = self.address.removeprefix("file://")
        self._settings = settings
        self._remote: tuple[Any, str] | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Files":
        """The storage of uploads and exports."""
        return cls(settings.files or str(settings.data / "files"), settings)

    @property
    def filesystem(self) -> Any:
        """The fsspec filesystem of an address that is not a local folder."""
        return self._system()[0]

    def full(self, name: str) -> str:
        """The address of a file."""
        return f"{self.root}/{name}"

    @contextmanager
    def staged(self) -> Iterator[IO[bytes]]:
        """Yield a private temporary file for an upload; it is deleted at the end unless `put`."""
        folder = self._staging()
        _private(folder)
        file = tempfile.NamedTemporaryFile(dir=folder, prefix=temp_files.prefix(), delete=False)  # noqa: SIM115
        try:
            with file:
                yield file
        finally:
            Path(file.name).unlink(missing_ok=True)

    def put(self, name: str, staged: IO[bytes]) -> None:
        """Store a staged file under a name, replacing an earlier file."""
        staged.flush()
        if self.is_local:
            self._rename(Path(staged.name), name)
            return
        with self._reached() as (system, root):
            system.put_file(staged.name, f"{root}/{name}")

    @contextmanager
    def writing(self, name: str) -> Iterator[str]:
        """Yield a path to write to; the file appears under `name` when it is complete and synced to
        the disk."""
        if not self.is_local:
            # Object storage shows an object when it is complete.
            yield self.full(name)
            return
        final = Path(self.full(name))
        _private(final.parent)
        half = final.with_name(f".{final.name}.half")
        try:
            yield str(half)
            self._rename(half, name)
        finally:
            half.unlink(missing_ok=True)

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading; raises FileNotFoundError."""
        if self.is_local:
            return open(self.full(name), "rb")
        with self._reached() as (system, root):
            opened: IO[bytes] = system.open(f"{root}/{name}", "rb")
            return opened

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Yield a local path of a file, a temporary copy if it is in object storage; raises
        FileNotFoundError."""
        if self.is_local:
            path = Path(self.full(name))
            path.stat()
            yield path
            return
        with temporary(self._settings, "file") as folder:
            with self._reached() as (system, root):
                system.get_file(f"{root}/{name}", str(folder / "file"))
            yield folder / "file"

    @asynccontextmanager
    async def fetched(self, name: str) -> AsyncIterator[Path]:
        """`local` in a thread, for the event loop."""
        with ExitStack() as stack:
            yield await asyncio.to_thread(stack.enter_context, self.local(name))

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        if self.is_local:
            return os.stat(self.full(name)).st_size
        with self._reached() as (system, root):
            return int(system.size(f"{root}/{name}"))

    def listed(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Yield every file below a folder and when it was written."""
        if self.is_local:
            for path in Path(self.full(folder)).rglob("*"):
                if path.is_file():
                    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    yield str(path.relative_to(self.root)), written
            return
        with self._reached() as (system, root):
            for path, about in system.find(f"{root}/{folder}", detail=True).items():
                # The listing of S3 has it; other storage is queried for each file.
                written = about.get("LastModified") or system.modified(path)
                yield path.removeprefix(f"{root}/"), written

    def remove(self, *names: str) -> bool:
        """Remove files; return whether any existed."""
        removed = [self._remove(name) for name in names]
        return any(removed)

    def remove_folder(self, folder: str) -> None:
        """Remove everything below a folder, if it exists."""
        if self.is_local:
            shutil.rmtree(self.full(folder), ignore_errors=True)
            return
        with self._reached() as (system, root):
            if system.exists(f"{root}/{folder}"):
                system.rm(f"{root}/{folder}", recursive=True)

    def sweep(self) -> None:
        """Remove partial files of killed processes."""
        temp_files.sweep(self._staging())

    def _remove(self, name: str) -> bool:
        if self.is_local:
            try:
                os.unlink(self.full(name))
            except FileNotFoundError:
                return False
            return True
        with self._reached() as (system, root):
            if not system.exists(f"{root}/{name}"):
                return False
            system.rm_file(f"{root}/{name}")
            return True

    def _rename(self, complete: Path, name: str) -> None:
        """Rename a complete local file, and sync it and its folder to the disk."""
        final = Path(self.full(name))
        _private(final.parent)
        _sync(complete)
        complete.replace(final)
        _sync(final.parent)

    def _staging(self) -> Path:
        """Folder in which files are staged; for local storage the file is then only renamed."""
        return Path(self.root) / "staged" if self.is_local else temp_files.scratch(self._settings)

    def _system(self) -> tuple[Any, str]:
        if self._remote is None:
            self._remote = open_remote(self.address)
        return self._remote

    @contextmanager
    def _reached(self) -> Iterator[tuple[Any, str]]:
        """Yield the filesystem and the prefix of its paths; translates its errors."""
        try:
            yield self._system()
        except (FileNotFoundError, ImportError):
            raise
        except Exception as error:
            # Each kind of storage has errors of its own, some of which are no OSError.
            raise Unavailable("The file storage cannot be reached.") from error


def open_remote(address: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of a URL, and the path in it."""
    # Imported here since it is slow to import, and most processes do not need it.
    import fsspec  # noqa: PLC0415

    # Listings are not cached, since other processes write there too.
    system, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
    return system, root.rstrip("/")


def seconds_to_put(size: int) -> float:
    """Return the seconds after which a `put` of a number of bytes counts as hanging."""
    return _LEAST_PUT_SECONDS + size / _SLOWEST_BYTES


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
