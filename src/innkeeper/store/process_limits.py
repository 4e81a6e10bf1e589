"""Limits that a child process sets for itself before it reads untrusted input."""

import os
import resource
import signal
from pathlib import Path
from typing import Final

from innkeeper.store.processes import follow_parent, ignore_stop_signals

_MB: Final = 2**20
_STATM: Final = Path("/proc/self/statm")


def limit_process(parent: int, cpu_seconds: int) -> None:
    """Limit processor time, disable core files, and end only with or by the parent.

    The process runs at a lower priority than those that answer requests.
    """
    follow = follow_parent(signal.SIGKILL, parent)
    if follow is not None:
        follow()
    ignore_stop_signals()
    _lower(resource.RLIMIT_CPU, cpu_seconds)
    _lower(resource.RLIMIT_CORE, 0)
    os.nice(5)


def limit_memory(megabytes: int) -> None:
    """Limit the address space to a number of bytes beyond what is in use; larger allocations fail.

    Without /proc (macOS, where the system does not enforce the limit) no limit is set.
    """
    if _STATM.exists():
        used = int(_STATM.read_text().split()[0]) * resource.getpagesize()
        _lower(resource.RLIMIT_AS, used + megabytes * _MB)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (most, most))
