"""The embedded PostgreSQL: created once, run as a child process, restarted if it ends, stopped with
us."""

import logging
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from innkeeper.errors import OperatorError
from innkeeper.store.binaries import Binaries, Runner, binaries, runner
from innkeeper.store.data_folder import unusable
from innkeeper.store.embedded_roles import ADMINISTRATOR, APPLICATION, separate_roles
from innkeeper.store.memory import machine_bytes
from innkeeper.store.processes import HAS_PROC, end_servers, follow_parent

log = logging.getLogger(__name__)

_MEGABYTE: Final = 1 << 20
# A crash recovery may take minutes; a start that makes no progress at all does not.
_START_SECONDS: Final = 600.0
_STOP_SECONDS: Final = 60.0
_QUIT_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.01
# PostgreSQL refuses to start while processes of a killed server are still ending.
_STILL_HELD: Final = ("shared memory block", "lock file", "is another postmaster")
_STILL_HELD_SECONDS: Final = 15.0
_DISK_FULL: Final = ("No space left on device", "Check free disk space")
_LOG_BYTES: Final = 10 * _MEGABYTE
_SOCKET_PREFIX: Final = "innkeeper-"
# Linux allows 107 bytes for the socket's whole path, macOS 103; its name takes 16.
_SOCKET_FOLDER_BYTES: Final = 80


class EmbeddedServer:
    """The server in `<data>/postgres`. Lock the data folder (data_folder.py) before `start`."""

    def __init__(
        self, data: Path, connections: int = 100, stop_seconds: float = _STOP_SECONDS
    ) -> None:
        """`stop_seconds`: time of a normal stop, after which the server is stopped without a
        checkpoint."""
        self._stop_seconds = stop_seconds
        self.cluster = data / "postgres"
        self._data = data
        self._connections = connections
        self._user: Runner
        self._binaries: Binaries
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None
        self._stopping = threading.Event()
        self._guard = threading.Lock()

    @property
    def dsn(self) -> str:
        """The address of the server; it does not change when the server restarts."""
        return f"host={self._sockets} user={APPLICATION} dbname=postgres"

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster."""
        return self._process.pid if self._process else None

    def start(self) -> str:
        """Create the cluster if there is none, start the server, wait until it responds; return its
        address.

        Raises OperatorError with one sentence if that is impossible.
        """
        self._user = runner()
        self._binaries = binaries(self._user)
        try:
            self._initialise()
            self._clear_remains()
            self._sockets = self._socket_folder()
            self._rotate_log()
        except OSError as error:
            raise unusable(self._data, error) from error
        with self._guard:
            self._launch()
        separate_roles(self.dsn)
        return self.dsn

    def watch(self) -> None:
        """Restart the server whenever it ends unexpectedly, until `stop`."""
        threading.Thread(target=self._watch, name="postgres-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop the server; open transactions are rolled back."""
        self._stopping.set()
        with self._guard:
            if self._process is not None:
                steps = ((signal.SIGINT, self._stop_seconds), (signal.SIGQUIT, _QUIT_SECONDS))
                for how, patience in steps:
                    self._process.send_signal(how)
                    with suppress(subprocess.TimeoutExpired):
                        self._process.wait(patience)
                        break
                else:
                    self._process.kill()
                    self._process.wait()
                self._process = None
        self._remove_sockets()

    def _watch(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            process = self._process
            if process is not None:
                process.wait()
            with self._guard:
                if self._stopping.is_set():
                    return
                log.error("PostgreSQL ended unexpectedly; starting it again")
                try:
                    self._clear_remains()
                    self._launch()
                    pause = 0.1
                    log.warning("PostgreSQL is back")
                    continue
                except (OperatorError, OSError) as error:
                    self._process = None
                    log.error("PostgreSQL does not start: %s", error)
            self._stopping.wait(pause)
            pause = min(pause * 2, 10.0)

    def _initialise(self) -> None:
        """Run initdb in a temporary folder, which is renamed when it is complete."""
        version = self.cluster / "PG_VERSION"
        if version.exists():
            made_by = version.read_text().strip()
            if made_by != str(self._binaries.major):
                raise OperatorError(
                    f"The database in {self.cluster} was made by PostgreSQL {made_by} and the "
                    f"programs found are version {self._binaries.major}: install version "
                    f"{made_by}, or name a server with --database."
                )
            return
        half = self._data / "postgres.new"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        self._hand_over(half)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = self._run(
            "initdb",
            half,
            ["-U", ADMINISTRATOR, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-instructions"]
            + (locale if self._binaries.major >= 17 else []),
        )
        if done.returncode != 0:
            shutil.rmtree(half, ignore_errors=True)
            raise self._failure("made", done.stdout.decode(errors="replace"))
        half.rename(self.cluster)

    def _launch(self) -> None:
        """Start the server and wait for it; retry while processes of an earlier server block it."""
        deadline = time.monotonic() + _STILL_HELD_SECONDS
        while True:
            with open(self._data / "postgres.log", "ab", opener=_for_us_alone) as output:
                began = output.tell()
                self._process = self._spawn("postgres", self.cluster, self._options(), output)
            if self._ready(self._process):
                return
            self._process = None
            messages = self._logged_since(began)
            is_held = any(words in messages for words in _STILL_HELD)
            if not is_held or time.monotonic() > deadline:
                raise self._failure("started", messages)
            time.sleep(0.1)
            self._clear_remains()

    def _ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until the server responds (True) or has ended (False)."""
        deadline = time.monotonic() + _START_SECONDS
        patient = time.monotonic() + 5.0
        while process.poll() is None:
            lines = self._pid_file()
            if len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return True
            if time.monotonic() > patient:
                log.warning("PostgreSQL is recovering from a crash; this may take a while")
                patient = deadline
            if time.monotonic() > deadline:
                process.send_signal(signal.SIGQUIT)
                process.wait()
                return False
            time.sleep(_POLL_SECONDS)
        return False

    def _clear_remains(self) -> None:
        """End processes of a killed run, so that only the new server uses the files."""
        lines = self._pid_file()
        recorded = int(lines[0]) if lines and lines[0].isdigit() else None
        if HAS_PROC:
            end_servers(self.cluster, recorded)
            # The number may meanwhile be a zombie's or another program's, which PostgreSQL
            # would take for a living server.
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _pid_file(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return []

    def _socket_folder(self) -> Path:
        """Create a folder with a short path that only the server and we can open."""
        record = self._data / "socket"
        with suppress(FileNotFoundError):
            left = Path(record.read_text())
            if left.name.startswith(_SOCKET_PREFIX):
                shutil.rmtree(left, ignore_errors=True)
        base = Path(tempfile.gettempdir())
        if len(os.fsencode(base)) > _SOCKET_FOLDER_BYTES or not self._user.reaches(base):
            base = Path("/tmp")  # noqa: S108 - a fresh folder is made in it
        folder = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=base))
        self._hand_over(folder)
        record.write_text(str(folder))
        return folder

    def _remove_sockets(self) -> None:
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            (self._data / "socket").unlink(missing_ok=True)

    def _rotate_log(self) -> None:
        current = self._data / "postgres.log"
        with suppress(FileNotFoundError):
            if current.stat().st_size > _LOG_BYTES:
                current.rename(current.with_suffix(".log.old"))

    def _logged_since(self, position: int) -> str:
        with open(self._data / "postgres.log", "rb") as file:
            file.seek(position)
            return file.read().decode(errors="replace")

    def _hand_over(self, folder: Path) -> None:
        if self._user.name is not None:
            os.chown(folder, self._user.uid, self._user.gid)

    def _run(
        self, program: str, cluster: Path, arguments: list[str]
    ) -> subprocess.CompletedProcess[bytes]:
        with tempfile.TemporaryFile() as output:
            process = self._spawn(program, cluster, arguments, output)
            code = process.wait()
            output.seek(0)
            return subprocess.CompletedProcess([program], code, output.read())

    def _spawn(
        self, program: str, cluster: Path, arguments: list[str], output: IO[Any]
    ) -> subprocess.Popen[bytes]:
        # Root's folders may be closed to the system user. An open file descriptor is not:
        # through it the server reaches its own folder without passing those above.
        folder: int | None = None
        other_user: dict[str, Any] = {}
        if self._user.name is not None:
            other_user = {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
            if not self._user.reaches(cluster):
                folder = os.open(cluster, os.O_RDONLY)
        try:
            with warnings.catch_warnings():
                # From 3.12 Python warns of forks beside threads; the child makes one system call.
                warnings.simplefilter("ignore", DeprecationWarning)
                return subprocess.Popen(  # noqa: S603 - programs found by us
                    [
                        self._binaries.folder / program,
                        "-D",
                        cluster if folder is None else f"/proc/self/fd/{folder}",
                        *arguments,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env={"PATH": os.defpath, "TZ": "UTC", "LC_ALL": "C"},
                    start_new_session=True,
                    pass_fds=() if folder is None else (folder,),
                    # After kill -9 we cannot stop the server; with this it stops by itself.
                    preexec_fn=follow_parent(signal.SIGINT, os.getpid()),  # noqa: PLW1509
                    **other_user,
                )
        except OSError as error:
            raise OperatorError(f"PostgreSQL cannot be run: {error.strerror}.") from error
        finally:
            if folder is not None:
                os.close(folder)

    def _options(self) -> list[str]:
        memory = machine_bytes() // _MEGABYTE
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "max_connections": self._connections,
            # A write locks each identifier it looks for, up to hundreds at a time.
            "max_locks_per_transaction": 256,
            # Untouched pages cost nothing, so an idle server stays small; the system caches the
            # rest of the files, and a large import stays small too.
            "shared_buffers": f"{min(max(memory // 4, 32), 64)}MB",
            "effective_cache_size": f"{max(memory // 2, 64)}MB",
            "work_mem": "8MB",
            # Memory of a vacuum worker, which runs beside imports; an index build may take more.
            "autovacuum_work_mem": "16MB",
            "maintenance_work_mem": f"{min(max(memory // 16, 32), 256)}MB",
            "huge_pages": "off",
            "jit": "off",
            "max_parallel_workers_per_gather": 0,
            "random_page_cost": "1.1",
            # There are no replicas: the log only has to suffice for recovery after a crash.
            "wal_level": "minimal",
            # The default of 2 MB is too little for an import: it would write each page by itself.
            "wal_buffers": "8MB",
            "max_wal_senders": 0,
            "max_logical_replication_workers": 0,
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "checkpoint_timeout": "15min",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_min_messages": "warning",
            "log_checkpoints": "off",
            "cluster_name": APPLICATION,
        }
        if self._binaries.major >= 18:
            settings["io_method"] = "sync"  # without the three worker processes of 18
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _failure(self, verb: str, output: str) -> OperatorError:
        if any(words in output for words in _DISK_FULL):
            return OperatorError(
                f"The database in {self._data} cannot be {verb}: the disk is full."
            )
        words = ("FATAL:", "PANIC:", "error:", "ERROR:")
        telling = [line for line in output.splitlines() if any(word in line for word in words)]
        last = (telling or output.splitlines() or ["it printed no message"])[-1]
        for word in words:
            last = last.rpartition(word)[2]
        return OperatorError(
            f"The database in {self._data} cannot be {verb}: {last.strip().rstrip('.')}."
        )


def _for_us_alone(path: str, flags: int) -> int:
    # A message of the server may quote what was stored.
    return os.open(path, flags, 0o600)
