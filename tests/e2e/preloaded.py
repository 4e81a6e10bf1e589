"""Run commands in processes forked from one that has imported Innkeeper already.

Importing takes most of the time of a short command. What is forked is a process of its own with its
own arguments, environment, working folder, output and exit status; it calls the entry point of the
installed command. `process.run` starts the installed command itself where that makes a difference.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path
from typing import IO, Any, Final

_MESSAGE_BYTES: Final = 1 << 20
_OPTIONS: Final = frozenset({"env", "cwd", "timeout"})
_REAL: Final = frozenset({"version", "--version"})
"""Commands that are started as installed; so is a server that starts processes that import."""
_AT_START: Final = ("PYTHON", "LC_", "LANG", "TMPDIR")
"""Variables that an interpreter reads when it starts."""


def can_run(words: Sequence[object], options: Mapping[str, Any]) -> bool:
    """Whether a forked process does the same as the installed command."""
    environment = options.get("env") or os.environ
    differ = {
        name
        for name in os.environ.keys() | environment.keys()
        if environment.get(name) != os.environ.get(name)
    }
    return (
        sys.platform == "linux"
        and options.keys() <= _OPTIONS
        and not _REAL & set(map(str, words[:1]))
        and "--workers" not in words
        and not any(name.startswith(_AT_START) for name in differ)
    )


class Forked:
    """A forked command, with what tests use of `subprocess.Popen`."""

    def __init__(
        self, arguments: Sequence[str], options: Mapping[str, Any], output: int, errors: int
    ) -> None:
        request = {
            "arguments": arguments,
            "environment": dict(options.get("env") or os.environ),
            "folder": str(options.get("cwd") or os.getcwd()),
        }
        self.args = arguments
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._connection.connect(_parent())
        with open(os.devnull) as nothing:
            files = [nothing.fileno(), output, errors]
            socket.send_fds(self._connection, [json.dumps(request).encode()], files)
        self.pid = int(self._connection.recv(_MESSAGE_BYTES))

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = int(self._connection.recv(_MESSAGE_BYTES))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(command: str, words: Sequence[object], log: IO[str], **options: Any) -> Forked:
    """Start `innkeeper …`, with its output in a pipe and its errors in a file."""
    reader, writer = os.pipe()
    try:
        started = Forked([command, *map(str, words)], options, writer, log.fileno())
    finally:
        os.close(writer)
    started.stdout = os.fdopen(reader)
    return started


def run(
    command: str, words: Sequence[object], options: Mapping[str, Any]
) -> subprocess.CompletedProcess[str]:
    """Run `innkeeper …` to its end, as `subprocess.run` does with its output captured."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        arguments = [command, *map(str, words)]
        process = Forked(arguments, options, output.fileno(), errors.fileno())
        try:
            status = process.wait(options.get("timeout"))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        printed = []
        for file in (output, errors):
            file.seek(0)
            printed.append(file.read().decode().replace("\r\n", "\n"))
        return subprocess.CompletedProcess(arguments, status, *printed)


@cache
def _parent() -> str:
    """The socket of the process that forks, started now."""
    folder = tempfile.mkdtemp(prefix="innkeeper-commands-")
    address = os.path.join(folder, "socket")
    # -P: this folder holds modules of tests, which must not hide others.
    process = subprocess.Popen(
        [sys.executable, "-P", Path(__file__), address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def stop() -> None:
        process.kill()
        process.communicate()
        os.unlink(address)
        os.rmdir(folder)

    atexit.register(stop)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return address


def _fork_for_ever(address: str) -> None:
    """Answer each connection with the id and then the exit status of a forked command."""
    _import_commands()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return  # whoever started this has ended
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES, 3)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(json.loads(message), files)
        return
    for file in files:
        os.close(file)
    connection.send(str(pid).encode())
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # whoever waited for it gave up
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(request: Mapping[str, Any], files: list[int]) -> None:
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["arguments"]
    from innkeeper.cli import main

    main()


def _import_commands() -> None:
    """Import what commands and a server of one process import when they run, but for engines."""
    import innkeeper

    for module in pkgutil.walk_packages(innkeeper.__path__, "innkeeper."):
        if not re.search(r"__main__|spark", module.name):
            importlib.import_module(module.name)
    for name in ("rich.progress", "rich.table", "uvicorn"):
        importlib.import_module(name)
    from innkeeper.cli.app import app

    # What reads arguments is imported by the first command.
    with redirect_stdout(StringIO()):
        app(["version"], standalone_mode=False)
    # No command looks for garbage in all this.
    gc.collect()
    gc.freeze()
    # Another thread would be missing in what is forked.
    assert threading.active_count() == 1, threading.enumerate()


if __name__ == "__main__":
    _fork_for_ever(sys.argv[1])
