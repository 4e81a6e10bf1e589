"""The application as `innkeeper serve` runs it, in its own process or in several."""

import logging
import multiprocessing
import signal

from starlette.types import ASGIApp

from innkeeper.settings import Settings
from innkeeper.store.processes import follow_parent
from innkeeper.web.app import create_app
from innkeeper.web.protocol import LimitedHttpProtocol


def application() -> ASGIApp:
    """The application with the settings that `serve` resolved; a worker ends with its parent."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        follow = follow_parent(signal.SIGTERM, parent.pid)
        if follow is not None:
            follow()
    settings = Settings.from_environment()
    LimitedHttpProtocol.more_info_url = settings.more_info_url
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return create_app(settings)
