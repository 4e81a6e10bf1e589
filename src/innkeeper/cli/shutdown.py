"""Ending in time once told to stop, whatever is still running (S4).

What is under way has half of the time to end by itself. Then it is cut off, threads that wait for
something outside included, which no thread can be made to stop waiting for: by ending the process.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

log = logging.getLogger(__name__)

_LAST_SECONDS: Final = 1.0
"""What an interpreter needs to end once nothing is left to do."""


@dataclass(frozen=True, slots=True)
class StopTime:
    """How the time for a stop is shared out, in seconds."""

    whole: float

    @property
    def work(self) -> float:
        """For requests and jobs under way, until they are cancelled."""
        return self.whole * 0.5

    @property
    def processes(self) -> float:
        """Until processes of ours that are still there are cut off."""
        return self.whole * 0.6

    @property
    def database(self) -> float:
        """For the embedded database, before it is stopped without a last checkpoint."""
        return self.whole * 0.3


class StopWatch:
    """Runs from the first signal to stop to the end of the process.

    `begin` is called at once, and `cut_off` when `served` is not called in time; without a
    `cut_off` the process ends then. It ends in any case when the time is over, or once `ended` was
    called, be there threads that go on or not.
    """

    def __init__(
        self,
        stop_time: StopTime,
        begin: Callable[[], None] = lambda: None,
        cut_off: Callable[[], None] | None = None,
    ) -> None:
        self._time = stop_time
        self._begin = begin
        self._cut_off = cut_off
        self._served = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stop watch", daemon=True)
        self._started = False

    def start(self) -> None:
        """The signal came; the first counts. May be called by a signal handler."""
        if not self._started:
            self._started = True
            self._thread.start()

    def note_end_of_service(self) -> None:
        """Nothing is served any more."""
        self._served.set()

    def ended(self) -> None:
        """Everything has been put in order."""
        self._ended.set()

    def _run(self) -> None:
        deadline = time.monotonic() + self._time.whole
        self._begin()
        if not self._served.wait(self._time.processes):
            log.warning("cut off what did not end within %g seconds", self._time.processes)
            if self._cut_off is None:
                os._exit(0)
            threading.Thread(target=self._cut_off, name="cut off", daemon=True).start()
        if self._ended.wait(deadline - time.monotonic()):
            time.sleep(_LAST_SECONDS)
        os._exit(0)
