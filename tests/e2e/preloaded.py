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
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Final

_MESSAGE_BYTES: Final = 1 << 20
_OPTIONS: Final = frozenset({"env", "cwd", "timeout"})
_REAL: Final = frozenset({"serve", "version", "--version"})
"""Commands that are started as installed."""
_AT_START: Final = ("PYTHON", "LC_", "LANG", "TMPDIR")
"""Variables that an interpreter reads when it starts."""


def can_run(words: tuple[object, ...], options: Mapping[str, Any]) -> bool:
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
        and not any(name.startswith(_AT_START) for name in differ)
    )


def run(
    command: str, words: tuple[object, ...], options: Mapping[str, Any]
) -> subprocess.CompletedProcess[str]:
    """Run `innkeeper …` to its end, as `subprocess.run` does with its output captured."""
    request = {
        "arguments": [command, *map(str, words)],
        "environment": dict(options.get("env") or os.environ),
        "folder": str(options.get("cwd") or os.getcwd()),
    }
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as errors,
        open(os.devnull) as nothing,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection,
    ):
        connection.connect(_parent())
        files = [nothing.fileno(), out.fileno(), errors.fileno()]
        socket.send_fds(connection, [json.dumps(request).encode()], files)
        pid = int(connection.recv(_MESSAGE_BYTES))
        connection.settimeout(options.get("timeout"))
        try:
            status = int(connection.recv(_MESSAGE_BYTES))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(request["arguments"], connection.gettimeout()) from None
        printed = []
        for file in (out, errors):
            file.seek(0)
            printed.append(file.read().decode().replace("\r\n", "\n"))
        return subprocess.CompletedProcess(request["arguments"], status, *printed)


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
    """Import what commands import when they run, but for engines and what answers requests."""
    import innkeeper

    for module in pkgutil.walk_packages(innkeeper.__path__, "innkeeper."):
        if not re.search(r"__main__|spark|\.web", module.name):
            importlib.import_module(module.name)
    for name in ("rich.progress", "rich.table"):
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
