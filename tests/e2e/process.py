"""The installed command as a process: start it, read what it prints, end it."""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import preloaded
from calling import Api
from waiting import PATIENCE_SECONDS, until

COMMAND = Path(sys.executable).with_name("innkeeper")


def run(
    *words: object, command: Sequence[object] = (COMMAND,), **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run `innkeeper …` to its end."""
    options = {"timeout": PATIENCE_SECONDS, **options}
    if command == (COMMAND,) and words[0] != "serve" and preloaded.can_run(words, options):
        return preloaded.run(str(COMMAND), words, options)
    return subprocess.run(
        [*map(str, command), *map(str, words)],
        capture_output=True,
        check=False,
        **{"text": True, **options},
    )


def answer(*words: object, **options: Any) -> Any:
    """Run `innkeeper …`, which succeeds; what it printed, decoded where it is JSON."""
    done = run(*words, **options)
    assert done.returncode == 0, done.stderr
    return decoded(done.stdout)


def decoded(printed: str) -> Any:
    """What a command printed, decoded where it is JSON."""
    return json.loads(printed) if printed.startswith(("{", "[")) else printed


@dataclass
class Innkeeper:
    """One running server; `client_key` and `token` as it printed them, the token once."""

    process: subprocess.Popen[str] | preloaded.Forked
    data: Path
    log: Path
    printed: str = ""
    url: str = ""
    client_key: str = ""
    token: str = ""
    _clients: list[Api] = field(default_factory=list)

    @property
    def client(self) -> Api:
        """A client with this server's key, closed when it stops."""
        if not self._clients:
            self._clients.append(Api(self.url, self.client_key, self.token))
        return self._clients[0]

    @property
    def postmaster(self) -> int:
        """Process id of the embedded PostgreSQL."""
        return int((self.data / "postgres" / "postmaster.pid").read_text().split("\n")[0])

    def await_answer(self) -> None:
        """Wait until it answers 200 on /readyz."""

        def ready() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{self.url}/readyz", timeout=PATIENCE_SECONDS).is_success
            assert self.process.poll() is None, self.log.read_text()
            return False

        until("200 on /readyz", ready)

    def create_guest(self, email: str) -> str:
        """Create a guest; its ref."""
        answer = self.client.post("/v2.1/guests", json={"guestType": "customer", "email": email})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["ref"])

    def has_guest(self, ref: str) -> bool:
        return self.client.get(f"/v2.1/guests/{ref}").status_code == 200

    def send(self, what: signal.Signals) -> None:
        self.process.send_signal(what)

    def stop(self, what: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit status."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self.process.poll() is None:
            self.send(what)
        code = self.process.wait(PATIENCE_SECONDS)
        if self.process.stdout:
            self.process.stdout.close()
        return code


def launch(folder: Path, log: Path, *words: object, **options: Any) -> Innkeeper:
    """Start a server on a free port, and wait until it answers.

    `forked`: its process is forked from one that has imported Innkeeper, where that is possible.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("INNKEEPER_")
    }
    environment |= options.pop("env", {})
    command = options.pop("command", [COMMAND])
    forked = options.pop("forked", False)
    words = ("serve", "--port", "0", "--data", folder, *words)
    options["env"] = environment
    process: subprocess.Popen[str] | preloaded.Forked
    with log.open("w") as errors:
        if forked and command == [COMMAND] and preloaded.can_run(words, options):
            process = preloaded.start(str(COMMAND), words, errors, **options)
        else:
            process = subprocess.Popen(
                [*command, *map(str, words)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                **options,
            )
    one = Innkeeper(process, folder, log)
    try:
        read_greeting(one)
        one.await_answer()
    except BaseException:
        one.stop()
        raise
    return one


def nobody() -> dict[str, Any] | None:
    """What makes `run` and `serve` an unprivileged user's; None when such a user cannot run us.

    The interpreter may be in a folder closed to others, as root's home is: another of the same
    version then runs the same code.
    """
    entry = pwd.getpwnam("nobody")
    identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}
    other = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin")
    main = "import sys\nsys.path[:0] = sys.argv.pop(1).split(':')\n"
    main += "from innkeeper.cli import main\nmain()"
    folders = ":".join(path for path in sys.path if path.endswith(("site-packages", "src")))
    for command in ([COMMAND], [other, "-c", main, folders]):
        try:
            if command[0] and run("version", command=command, **identity).returncode == 0:
                return {"command": command, **identity}
        except PermissionError:
            continue
    return None


Serve = Callable[..., Innkeeper]


def read_greeting(one: Innkeeper) -> None:
    assert one.process.stdout is not None
    for line in one.process.stdout:
        one.printed += line
        if line.startswith("curl"):
            break
    else:
        raise AssertionError(f"did not start: {one.printed}{one.log.read_text()}")
    match = re.search(r"at (http://\S+)", one.printed)
    assert match is not None
    one.url = match[1]
    match = re.search(r"client key +(\S+)", one.printed)
    one.client_key = match[1] if match else ""
    # Its output is a pipe, so the login is in a file.
    file = one.data / "first-login"
    login = file.read_text().strip() if str(file) in one.printed else ""
    one.token = login.partition(":")[2]


def keys_of(data: Path) -> list[dict[str, Any]]:
    """What `innkeeper keys list --json` prints."""
    listed: list[dict[str, Any]] = answer("keys", "list", "--json", "--data", data)
    return listed
