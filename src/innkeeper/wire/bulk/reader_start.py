"""Start the process that reads a large file (`reader_process`).

It loads its modules while the command that starts it loads its own, so this one imports little.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from innkeeper.store.processes import stop_signals_held

Process = subprocess.Popen[bytes]

LEAST_BYTES: Final = 4 << 20
"""Size from which files are read in a process, which takes about half a second to start."""
_PIPE_BYTES: Final = 1 << 20
"""Size of the pipe in bytes, so that the process seldom waits in the middle of a chunk."""
_MOST_PIPE_BYTES: Final = Path("/proc/sys/fs/pipe-max-size")
"""File with the largest size of a pipe that the system allows users other than root."""
_CHILD: Final = (sys.executable, "-P", "-m", "innkeeper.wire.bulk.reader_process")


def has_reader(path: Path, least: int = LEAST_BYTES) -> bool:
    """Whether a file is read in a process of its own."""
    return (os.cpu_count() or 1) > 1 and path.stat().st_size >= least


def start_reader() -> Process:
    """Start a process that waits for a `RecordReader` on its standard input."""
    pipe, size = subprocess.PIPE, _pipe_bytes()
    with stop_signals_held():
        return subprocess.Popen(_CHILD, stdin=pipe, stdout=pipe, pipesize=size)  # noqa: S603


@contextmanager
def started_readers(names: Sequence[str]) -> Iterator[list[Process]]:
    """Start a process for the first of some files, if it is large and here, and yield it in a list.

    The caller removes it from the list to use it; otherwise it is ended.
    """
    paths = [path for path in map(Path, names[:1]) if path.is_file() and has_reader(path)]
    started = [start_reader() for _ in paths]
    try:
        yield started
    finally:
        for process in started:
            with process:
                process.kill()


def _pipe_bytes() -> int:
    """Return the size of the pipe in bytes: -1, the system's default, if the limit is unknown."""
    try:
        return min(_PIPE_BYTES, int(_MOST_PIPE_BYTES.read_text()))
    except (OSError, ValueError):
        return -1
