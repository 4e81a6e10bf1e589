"""Stop within a time limit after a stop signal, even if something still runs (S4).

Running requests and jobs get half of the time to finish. Then they are cancelled. A thread that
waits for another system cannot be cancelled, so in the end the process exits.
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
"""Time that the interpreter needs to exit when all work is done."""


@dataclass(frozen=True, slots=True)
class StopTime:
    """The time limit of a shutdown and its shares, in seconds."""

    whole: float

    @property
    def work(self) -> float:
        """Time for running requests and jobs, until they are cancelled."""
        return self.whole * 0.5

    @property
    def processes(self) -> float:
        """Time until child processes that still run are killed."""
        return self.whole * 0.6

    @property
    def database(self) -> float:
        """Time for the embedded database, until it is stopped without a final checkpoint."""
        return self.whole * 0.3


class StopWatch:
    """A timer from the first stop signal to the end of the process.

    It calls `begin` at once. If `note_end_of_service` is not called in time, it calls `cut_off`,
    or exits the process if there is none. In any case the process exits when the time is over, or
    after `ended` is called, even if threads still run.
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
        self._service_ended = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stop watch", daemon=True)
        self._started = False

    def start(self) -> None:
        """Start the timer; later calls do nothing. Safe to call from a signal handler."""
        if not self._started:
            self._started = True
            self._thread.start()

    def note_end_of_service(self) -> None:
        """Note that the server has stopped serving requests."""
        self._service_ended.set()

    def ended(self) -> None:
        """Note that the cleanup is complete."""
        self._ended.set()

    def _run(self) -> None:
        deadline = time.monotonic() + self._time.whole
        self._begin()
        if not self._service_ended.wait(self._time.processes):
            log.warning("cancelled what did not finish within %g seconds", self._time.processes)
            if self._cut_off is None:
                os._exit(0)
            threading.Thread(target=self._cut_off, name="cut off", daemon=True).start()
        if self._ended.wait(deadline - time.monotonic()):
            time.sleep(_LAST_SECONDS)
        os._exit(0)
