"""Files of a moment: in the data folder, since they hold people, and none is left behind.

The name of each tells which process made it. One that was killed cannot clean up, so `serve`
sweeps what dead ones left.
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
    """The folder they are in; the system's own where the data folder cannot be written."""
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
    """A path for this process, which is removed when it ends; nothing is made there."""
    return scratch(settings) / f"{prefix()}{what}"


def prefix() -> str:
    """What the names of this process's files begin with."""
    return f"{_maker(os.getpid())}-"


@contextmanager
def temporary(settings: Settings, what: str) -> Iterator[Path]:
    """A folder for as long as a block lasts."""
    with tempfile.TemporaryDirectory(
        prefix=f"{prefix()}{what}-", dir=scratch(settings), ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def sweep(folder: Path) -> int:
    """Remove from a folder what processes left that are no more; how many files and folders."""
    left = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        pid, _, rest = path.name.partition("-")
        started = rest.partition("-")[0]
        if pid.isdigit() and _maker(int(pid)) != f"{pid}-{started}":
            _remove(path)
            left += 1
    return left


def _maker(pid: int) -> str:
    """A process so that a later one of the same number is another; `<pid>-gone` for none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return f"{pid}-{0 if not Path('/proc/self').exists() and _lives(pid) else 'gone'}"
    # Its name, in brackets, may hold anything; the 20th value behind it is when it started.
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
