"""The ASGI application that `innkeeper serve` runs, in its own process or in several."""

import logging
import multiprocessing
import resource
import signal
from contextlib import suppress
from types import FrameType
from typing import Any, Final

from starlette.types import ASGIApp

from innkeeper.cli.shutdown import StopTime, StopWatch
from innkeeper.settings import Settings
from innkeeper.store.memory import collect_seldom, switch_threads_often
from innkeeper.store.processes import follow_parent
from innkeeper.web.app import create_app
from innkeeper.web.browser_security import security_headers
from innkeeper.web.connections import ConnectionLimits
from innkeeper.web.http_protocol import LimitedHttpProtocol

log = logging.getLogger(__name__)

_OTHER_FILES: Final = 256
"""Open files that a process needs in addition to its client connections."""


def application() -> ASGIApp:
    """Create the application with the settings that `serve` resolved.

    A child process stops when its parent ends.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        follow = follow_parent(signal.SIGTERM, parent.pid)
        if follow is not None:
            follow()
    settings = Settings.from_environment()
    if parent is not None:
        _stop_in_time(StopWatch(StopTime(settings.stop_seconds)))
    LimitedHttpProtocol.more_info_url = settings.more_info_url
    LimitedHttpProtocol.security_headers = security_headers(settings)
    LimitedHttpProtocol.limits = ConnectionLimits.of(settings)
    _allow_files(settings.max_connections + _OTHER_FILES)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    app = create_app(settings)
    # A large body is a tree of many values; garbage collections that scan it delay all requests.
    collect_seldom()
    switch_threads_often()
    return app


def _stop_in_time(watch: StopWatch) -> None:
    """Make the signals that stop this process start `watch`, before their present handlers."""
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def handle(signum: int, frame: FrameType | None, before: Any = before) -> None:
            watch.start()
            if callable(before):
                before(signum, frame)

        signal.signal(number, handle)


def _allow_files(count: int) -> None:
    """Raise this process's limit of open files, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < count:
        log.warning("max_connections needs %d open files, the system allows %d", count, most)
