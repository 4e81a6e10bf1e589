"""Folders and object storage that exports may be delivered to: the operator's list, and paths below
it.

The folder `exports` of the data folder is always on the list; a destination without a scheme that
is not an absolute path is relative to it. Files in a folder are readable by the server's user only,
and symbolic links below a listed folder are not followed.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol

from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.store.files import open_remote

OWN: Final = "exports"
OWN_IMPORTS: Final = "imports"
LONGEST: Final = 1024
PAGE: Final = 1000
"""Most objects of a page of a listing."""
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class BadDestination(ValueError):
    """A destination that is not allowed; the message lists the allowed ones."""


class CopySource(Protocol):
    """The source of a copy, read from start to end."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class DestinationPath:
    """A folder, or a prefix of object storage, split into its parts."""

    scheme: str
    """Empty for a folder of this machine."""
    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.scheme}://{'/'.join(self.parts)}" if self.scheme else f"/{self._path}"

    @property
    def _path(self) -> str:
        return "/".join(self.parts)

    def holds(self, other: "DestinationPath") -> bool:
        """Whether another path is this one, or below it."""
        return self.scheme == other.scheme and other.parts[: len(self.parts)] == self.parts


@dataclass(frozen=True, slots=True)
class Destination:
    """A path below a listed destination."""

    root: DestinationPath
    below: tuple[str, ...]

    def copy(self, source: CopySource, folders: Sequence[str], name: str) -> None:
        """Write a file below the destination; missing folders are created.

        The file gets its name, and replaces an earlier file, when it is complete. Raises OSError
        and the exceptions of the storage.
        """
        if self.root.scheme:
            self._put(source, "/".join((*folders, name)))
        else:
            self._write(source, (*self.below, *folders), name)

    def open(self) -> IO[bytes]:
        """Open the file at this path to be read; raises OSError and those of the storage."""
        if self.root.scheme:
            system, path = open_remote(self._place.text)
            opened: IO[bytes] = system.open(path, "rb")
            return opened
        *folders, name = self.below
        with _opened(self.root.text, folders, creates=False) as folder:
            return os.fdopen(os.open(name, _READ_FLAGS, dir_fd=folder), "rb")

    def listed(self) -> Iterator[tuple[str, str, int, str]]:
        """Yield each file in this folder or below this prefix: name, time of the last change, size,
        and a version that changes with its content. Object storage is listed by pages."""
        if self.root.scheme:
            system, path = open_remote(self._place.text)
            for one, info in _listed_remotely(system, path):
                changed = info.get("LastModified") or info.get("mtime") or system.modified(one)
                version = info.get("ETag") or f"{changed} {info['size']}"
                yield one.removeprefix(f"{path}/"), str(changed), int(info["size"]), version
            return
        with (
            _opened(self.root.text, self.below, creates=False) as folder,
            os.scandir(folder) as entries,
        ):
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                    about = entry.stat(follow_symlinks=False)
                    changed = datetime.fromtimestamp(about.st_mtime, UTC).isoformat()
                    version = f"{about.st_mtime_ns} {about.st_size}"
                    yield entry.name, changed, about.st_size, version

    def file(self, name: str) -> "Destination":
        """Return the path of a file in this folder or prefix."""
        return Destination(self.root, (*self.below, *_parts(name)))

    @property
    def _place(self) -> DestinationPath:
        return DestinationPath(self.root.scheme, (*self.root.parts, *self.below))

    def _write(self, source: CopySource, folders: Sequence[str], name: str) -> None:
        half = f"{name}.half"
        with _opened(self.root.text, folders) as folder:
            # It was left by an interrupted attempt, or created by somebody who wants to read the
            # file.
            with suppress(FileNotFoundError):
                os.unlink(half, dir_fd=folder)
            file = os.open(half, _FILE_FLAGS, 0o600, dir_fd=folder)
            with os.fdopen(file, "wb") as sink:
                shutil.copyfileobj(source, sink)
                sink.flush()
                os.fsync(sink.fileno())
            os.rename(half, name, src_dir_fd=folder, dst_dir_fd=folder)

    def _put(self, source: CopySource, name: str) -> None:
        system, root = open_remote(self._place.text)
        path = f"{root}/{name}"
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        half = f"{path}.half"
        with system.open(half, "wb") as sink:
            shutil.copyfileobj(source, sink)
        system.mv(half, path)


def _listed_remotely(system: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and details of each file below a path of object storage, page by page."""
    if not hasattr(system, "call_s3"):
        for folder, _, files in system.walk(path, detail=True):
            yield from ((f"{folder}/{name}", about) for name, about in files.items())
        return
    bucket, _, prefix = path.partition("/")
    page: dict[str, Any] = {"NextContinuationToken": None}
    while "NextContinuationToken" in page:
        token = page["NextContinuationToken"]
        page = system.call_s3(
            "list_objects_v2",
            Bucket=bucket,
            Prefix=f"{prefix}/" if prefix else "",
            MaxKeys=PAGE,
            **({"ContinuationToken": token} if token else {}),
        )
        for about in page.get("Contents", ()):
            if not about["Key"].endswith("/"):
                yield f"{bucket}/{about['Key']}", {**about, "size": about["Size"]}


def destination_of(settings: Settings, url: object) -> Destination:
    """Parse a destination; raises `BadDestination`."""
    own = _parse(str(settings.data / OWN))
    location = _place_of(url, own)
    if below := _below((own, *allowed_destinations(settings)), location):
        return below
    raise BadDestination(
        "must be a folder inside the folder of exports, such as weekly, or below a place that the "
        "operator lists (export_destinations)"
    )


def import_source_of(settings: Settings, url: object, *, is_free: bool = False) -> Destination:
    """Parse the location of a file or folder that imports read; raises `BadDestination`.

    `is_free`: the operator chose it, so it may be anywhere.
    """
    own = _parse(str(settings.data / OWN_IMPORTS))
    location = _place_of(url, own)
    if is_free:
        if not location.scheme:
            # A path that the operator names may contain symbolic links.
            location = DestinationPath("", Path(location.text).resolve().parts[1:])
        return Destination(DestinationPath(location.scheme, location.parts[:1]), location.parts[1:])
    if below := _below((own, *allowed_sources(settings)), location):
        return below
    raise BadDestination(
        "must be inside the folder of imports, such as daily/people.csv, or below a place that the "
        "operator lists (import_sources)"
    )


def _below(roots: Iterable[DestinationPath], location: DestinationPath) -> Destination | None:
    root = next((each for each in roots if each.holds(location)), None)
    return Destination(root, location.parts[len(root.parts) :]) if root else None


def _place_of(url: object, own: DestinationPath) -> DestinationPath:
    """Return the destination of a text; a relative path is below `own`. Raises `BadDestination`."""
    if not isinstance(url, str) or not url.strip() or len(url) > LONGEST or not url.isprintable():
        raise BadDestination("must be the name of a folder, or a URL such as s3://bucket/folder")
    if "::" in url:
        raise BadDestination("must be one location: protocols cannot be chained")
    if "://" in url or url.startswith("/"):
        return _parse(url)
    return DestinationPath("", (*own.parts, *_parts(url)))


def allowed_destinations(settings: Settings) -> list[DestinationPath]:
    """Return the destinations that the operator lists for exports; raises `OperatorError`."""
    return _listed(settings.export_destinations, "export_destinations")


def allowed_sources(settings: Settings) -> list[DestinationPath]:
    """Return the locations that the operator lists for imports; raises `OperatorError`."""
    return _listed(settings.import_sources, "import_sources")


def _listed(setting: str, name: str) -> list[DestinationPath]:
    """Return the locations that the operator lists in a setting; raises `OperatorError`."""
    allowed = []
    for text in filter(None, map(str.strip, setting.split(","))):
        try:
            destination = _parse(text)
        except BadDestination as error:
            raise OperatorError(f"{name}: {text} {error}.") from None
        if not (destination.scheme or text.startswith("/") or "://" in text):
            raise OperatorError(f"{name}: {text} must be an absolute path or a URL.")
        allowed.append(destination)
    return allowed


def _parse(text: str) -> DestinationPath:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return DestinationPath("", _parts(text))
    return DestinationPath("" if scheme.lower() == "file" else scheme.lower(), _parts(rest))


def _parts(path: str) -> tuple[str, ...]:
    parts = tuple(part for part in path.split("/") if part)
    if any(part in (".", "..") for part in parts):
        raise BadDestination("must not contain . or .. between slashes")
    return parts


@contextmanager
def _opened(root: str, folders: Sequence[str], *, creates: bool = True) -> Iterator[int]:
    """Yield the descriptor of a folder below a root. With `creates`, missing folders are created. A
    symbolic link in the path is an error, even if somebody creates it meanwhile."""
    if creates:
        os.makedirs(root, mode=0o700, exist_ok=True)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in folders:
            if creates:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=descriptor)
            below = os.open(name, _FOLDER_FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)
