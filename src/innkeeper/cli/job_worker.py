"""The process beside the server that runs background jobs: started, watched, stopped."""

import logging
import os
import subprocess
import sys
import threading
import time
from typing import Final

log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 25.0
_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_SOUND_AFTER: Final = 30.0
"""A worker that lived this long ended for a reason of its own: start the next at once."""


class JobWorker:
    """Runs `python -m innkeeper.jobs` with the settings in the environment until stopped."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running, name="job worker", daemon=True)

    def start(self) -> None:
        """Start it, and again whenever it ends."""
        self._thread.start()

    def stop(self) -> None:
        """Let jobs under way end, for a while; what is cut off runs again at the next start."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        self._thread.join(_STOP_SECONDS)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    def _keep_running(self) -> None:
        pause = _PAUSE_SECONDS
        while not self._stopping.is_set():
            started = time.monotonic()
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "innkeeper.jobs"],
                env={**os.environ, "INNKEEPER_PARENT": str(os.getpid())},
                stdin=subprocess.DEVNULL,
                # Ctrl-C in a terminal reaches the whole group: only `serve` is to stop this one.
                start_new_session=True,
            )
            code = process.wait()
            if self._stopping.is_set():
                return
            pause = _PAUSE_SECONDS if time.monotonic() - started > _SOUND_AFTER else pause * 2
            log.error("the job worker ended with %s; another starts in %.0f s", code, pause)
            self._stopping.wait(min(pause, _LONGEST_PAUSE))
