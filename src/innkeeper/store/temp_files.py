"""Temporary files, in the data folder because they contain personal data; none remains.

The name of each file identifies the process that created it. A killed process cannot clean up, so
`serve` removes the files of processes that no longer run.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from innkeeper.settings import Settings

FOLDER: Final = "scratch"
_folders: set[Path] = set()


def scratch(settings: Settings) -> Path:
    """Return the folder of temporary files; the system's own if the data folder is not writable."""
    folder = settings.data / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if not usable:
        folder = Path(tempfile.gettempdir()) / "innkeeper-scratch"
        folder.mkdir(mode=0o700, exist_ok=True)
    if not _folders:
        atexit.register(_clear)
    _folders.add(folder)
    return folder


def named(settings: Settings, what: str) -> Path:
    """Return a path for this process, which is removed when the process ends; creates nothing."""
    return scratch(settings) / f"{prefix()}{what}"


def prefix() -> str:
    """Prefix of the names of this process's files."""
    return f"{_maker(os.getpid())}-"


@contextmanager
def temporary(settings: Settings, what: str) -> Iterator[Path]:
    """Create a folder that exists for the time of a block."""
    with tempfile.TemporaryDirectory(
        prefix=f"{prefix()}{what}-", dir=scratch(settings), ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def sweep(folder: Path) -> int:
    """Remove files of processes that no longer run from a folder; return how many files and
    folders."""
    left = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        pid, _, rest = path.name.partition("-")
        started = rest.partition("-")[0]
        if pid.isdigit() and _maker(int(pid)) != f"{pid}-{started}":
            _remove(path)
            left += 1
    return left


def _maker(pid: int) -> str:
    """Identify a process, so that a later one with the same number differs; `<pid>-gone` if it does
    not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return f"{pid}-{0 if not Path('/proc/self').exists() and _lives(pid) else 'gone'}"
    # Its name, in brackets, may contain any character; the 20th value after it is the start time.
    return f"{pid}-{stat.rpartition(')')[2].split()[19]}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _clear() -> None:
    for folder in _folders:
        for path in folder.glob(f"{prefix()}*"):
            _remove(path)
