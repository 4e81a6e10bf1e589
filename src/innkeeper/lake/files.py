"""Where the lake's files are: a folder, or any storage that fsspec reaches."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from innkeeper.settings import Settings

FOLDER: Final = "lake"
SUFFIX: Final = ".parquet"


class Storage:
    """The place of all files; paths inside it are relative, with slashes."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.is_local = "://" not in url or url.startswith("file://")
        self.root = self.url.removeprefix("file://")

    @property
    def filesystem(self) -> Any:
        """The fsspec filesystem of a place that is no local folder."""
        import fsspec  # noqa: PLC0415 - slow to import

        # Other processes write there too: what a listing said is true only for a moment.
        return fsspec.filesystem(self.url.partition("://")[0], use_listings_cache=False)

    def full(self, path: str) -> str:
        """How an engine names a file."""
        return f"{self.root}/{path}"

    @contextmanager
    def writing(self, path: str) -> Iterator[str]:
        """Where to write a file that appears under `path` once it is complete and on the disk."""
        if not self.is_local:
            # Object storage shows an object when it is complete.
            yield self.full(path)
            return
        final = Path(self.full(path))
        final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = final.with_name(f".{final.name}.half")
        try:
            yield str(half)
            _sync(half)
            half.replace(final)
            _sync(final.parent)
        finally:
            half.unlink(missing_ok=True)

    def size(self, path: str) -> int:
        if self.is_local:
            return os.stat(self.full(path)).st_size
        return int(self.filesystem.size(self.full(path)))

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; one that is gone already is no fault."""
        for path in paths:
            if self.is_local:
                Path(self.full(path)).unlink(missing_ok=True)
            elif self.filesystem.exists(self.full(path)):
                self.filesystem.rm_file(self.full(path))

    def remove_folder(self, folder: str) -> None:
        """Remove all below a folder, if there is one."""
        if self.is_local:
            shutil.rmtree(self.full(folder), ignore_errors=True)
        elif self.filesystem.exists(self.full(folder)):
            self.filesystem.rm(self.full(folder), recursive=True)

    def listed(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Every file below a folder, and when it was written."""
        if self.is_local:
            below = Path(self.full(folder))
            for path in below.rglob("*"):
                if path.is_file():
                    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    yield str(path.relative_to(self.root)), written
            return
        files = self.filesystem
        prefix = files._strip_protocol(self.root).rstrip("/") + "/"
        for name, about in files.find(self.full(folder), detail=True).items():
            # S3 tells it with the listing; of others it is asked file by file.
            written = about.get("LastModified") or files.modified(name)
            yield name.removeprefix(prefix), written

    def read(self, path: str) -> bytes:
        if self.is_local:
            return Path(self.full(path)).read_bytes()
        return bytes(self.filesystem.cat_file(self.full(path)))

    def write(self, path: str, content: bytes) -> None:
        """Write a small file whole."""
        if self.is_local:
            with self.writing(path) as half:
                Path(half).write_bytes(content)
        else:
            self.filesystem.pipe_file(self.full(path), content)


def storage(settings: Settings) -> Storage:
    """Where this installation keeps its lake."""
    return Storage(settings.lake or str(settings.data / FOLDER))


def new_path(workspace: str, folder: object, name: str, sequence: int) -> str:
    """A path that no file has: of a table, written by a flush."""
    return f"{workspace}/{folder}/{name}/{sequence:09}-{uuid4().hex[:12]}{SUFFIX}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
