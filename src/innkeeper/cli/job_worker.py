"""Start, restart and stop the process that runs background jobs for `serve`."""

import logging
import os
import subprocess
import sys
import threading
import time
from typing import Final

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_STABLE_SECONDS: Final = 30.0
"""A worker that ran at least this long is restarted after the shortest pause."""


class JobWorker:
    """Runs `python -m innkeeper.jobs` with the settings in the environment until stopped.

    Running jobs get `stop_seconds` to finish, from the first call of `terminate` or `stop`.
    """

    def __init__(self, stop_seconds: float) -> None:
        self._stop_seconds = stop_seconds
        self._stop_at: float | None = None
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running, name="job worker", daemon=True)

    def start(self) -> None:
        """Start the process, and restart it whenever it ends."""
        self._thread.start()

    def terminate(self) -> None:
        """Tell the process to stop after its running jobs, without waiting for them."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._stop_seconds
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()

    def stop(self) -> None:
        """Wait for running jobs; those that exceed the time are killed and run again later."""
        self.terminate()
        self._thread.join(max(0.0, (self._stop_at or 0.0) - time.monotonic()))
        process = self._process
        if process is not None and process.poll() is None:
            log.warning("jobs that did not finish in time were killed; they run again")
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
                # Ctrl-C in a terminal goes to the whole process group; only `serve` may stop this.
                start_new_session=True,
            )
            if self._stopping.is_set():  # while it started
                process.terminate()
            code = process.wait()
            if self._stopping.is_set():
                return
            pause = _PAUSE_SECONDS if time.monotonic() - started > _STABLE_SECONDS else pause * 2
            log.error("the job worker ended with %s; another starts in %.0f s", code, pause)
            self._stopping.wait(min(pause, _LONGEST_PAUSE))
