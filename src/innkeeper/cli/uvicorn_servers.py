"""uvicorn's servers, which tell when they are told to stop."""

from collections.abc import Callable
from socket import socket
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess


class StoppableServer(uvicorn.Server):
    """One process that answers; `stopping` is called by each signal to stop."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping()
        super().handle_exit(sig, frame)


class ServerProcesses(Multiprocess):
    """Several processes that answer; `stopping` is called once they are told to stop."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config, sockets)
        self._stopping = stopping

    def terminate_all(self) -> None:
        self._stopping()
        super().terminate_all()

    def kill_all(self) -> None:
        """End processes that did not."""
        for each in self.processes:
            if each.process.is_alive():
                each.process.kill()
