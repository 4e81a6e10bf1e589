"""uvicorn's servers with a callback for stop signals."""

from collections.abc import Callable
from socket import socket
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess


class StoppableServer(uvicorn.Server):
    """A server in one process; calls `stopping` at each stop signal."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping()
        super().handle_exit(sig, frame)


class ServerProcesses(Multiprocess):
    """A server in several processes; calls `stopping` when they are being stopped."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config, sockets)
        self._stopping = stopping

    def terminate_all(self) -> None:
        self._stopping()
        super().terminate_all()

    def kill_all(self) -> None:
        """Kill the processes that still run."""
        for each in self.processes:
            if each.process.is_alive():
                each.process.kill()
