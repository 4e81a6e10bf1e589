"""Find and end processes that earlier runs of the embedded server left."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PAUSE_SECONDS: Final = 0.02
_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HAS_PROC: Final = Path("/proc/self/cwd").exists()


def follow_parent(with_signal: signal.Signals, parent: int) -> Callable[[], None] | None:
    """Return a function for a new child that makes it receive `with_signal` when the process
    `parent` is killed.

    None if the system does not support it.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def follow() -> None:
        prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return follow


def ignore_stop_signals() -> None:
    """Let only the parent end this process.

    A service manager and a terminal send their signals to every process of the server, and the
    parent still needs its children for the jobs that it finishes.
    """
    for ignored in _STOP_SIGNALS:
        signal.signal(ignored, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


@contextmanager
def stop_signals_held() -> Iterator[None]:
    """Start a process within this context, if it calls `ignore_stop_signals`: signals that come
    before that, while it loads its modules, do not end it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def servers_in(cluster: Path) -> list[int]:
    """List the running postgres processes that work in the folder `cluster`."""
    if not HAS_PROC:
        return []
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _works_in(entry, cluster)
    ]


def end_servers(cluster: Path, postmaster: int | None, patience_seconds: float = 30.0) -> None:
    """End every server process that an earlier run left in `cluster`, gently first.

    A backend without its postmaster is killed: what it acknowledged is in the write-ahead log, and
    the rest is rolled back at the next start.
    """
    if postmaster is not None and postmaster in servers_in(cluster):
        for polite in (signal.SIGINT, signal.SIGQUIT):
            _send(postmaster, polite)
            if _has_ended(lambda: postmaster not in servers_in(cluster), patience_seconds):
                break
    for pid in servers_in(cluster):
        _send(pid, signal.SIGKILL)
    _has_ended(lambda: not servers_in(cluster), patience_seconds)


def _works_in(process: Path, cluster: Path) -> bool:
    try:
        # "pid (name) state …": a dead process that nobody has reaped has state Z.
        name, state = (process / "stat").read_text().partition("(")[2].rsplit(")", 1)
        if name != "postgres" or state.split()[0] in "ZX":
            return False
        return (process / "cwd").samefile(cluster)
    except (OSError, ValueError):
        return False  # ended meanwhile, or somebody else's


def _send(pid: int, what: signal.Signals) -> None:
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return


def _has_ended(has_ended: Callable[[], bool], patience_seconds: float) -> bool:
    deadline = time.monotonic() + patience_seconds
    while not has_ended():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True
