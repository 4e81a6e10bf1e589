"""Dump and restore a whole installation with PostgreSQL's own programs.

A dump is one snapshot in PostgreSQL's custom format, taken while the server runs. It does not
contain the lake, whose files are written again from the database, nor uploads and exports, which
are files (`files` of the settings).
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from subprocess import PIPE
from typing import IO, Final

import psycopg

from innkeeper.errors import OperatorError
from innkeeper.settings import masked
from innkeeper.store.binaries import program_folders
from innkeeper.store.migrate import OLDEST_SERVER
from innkeeper.store.queries import schema_of

Progress = Callable[[int], None]
"""Function that is called with the number of bytes processed so far."""

_PIECE: Final = 1 << 20
_SCHEMAS: Final = ("innkeeper", "jobs")
# An option of 17 that a dump sets for itself and that older servers do not know.
_UNKNOWN_TO_OLDER: Final = b"SET transaction_timeout"
_HEADER_LINES: Final = 40
_PLAINLY: Final = ("--no-owner", "--no-privileges")
_REASON_BYTES: Final = 2000


def dump(dsn: str, target: Path, progress: Progress) -> None:
    """Write all of Innkeeper's data in the database to `target`, or nothing.

    Raises OperatorError with the message of the program that failed.
    """
    server = _inspect(dsn)
    if not server.schemas:
        raise OperatorError("The database contains no Innkeeper installation to dump.")
    tool = _program("pg_dump", dsn, at_least=server.major)
    schemas = [f"--schema={name}" for name in server.schemas]
    half = target.with_name(target.name + ".part")
    try:
        # The file contains all data: only its owner may read it.
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            with _running(
                [tool, "--format=custom", *_PLAINLY, *schemas], dsn, stdout=PIPE
            ) as process:
                _pump(_output(process), file, progress)
            file.flush()
            os.fsync(file.fileno())
        half.replace(target)
    except OSError as error:
        raise OperatorError(f"{target} cannot be written ({error.strerror}).") from error
    finally:
        half.unlink(missing_ok=True)


def restore(dsn: str, source: Path, progress: Progress) -> None:
    """Restore a dump into a database without an installation, in one transaction.

    The server may be older than the dumped one, down to the oldest version that Innkeeper supports.
    Raises OperatorError with the message of the program that failed.
    """
    if _inspect(dsn).schemas:
        raise OperatorError(
            f"{masked(dsn)} already contains an installation: restore into an empty database."
        )
    if not os.access(source, os.R_OK):
        raise OperatorError(f"{source} cannot be read.")
    reader = [_program("pg_restore", ""), "--file=-", *_PLAINLY, str(source)]
    writer = [_program("psql", dsn), "--no-psqlrc", "--quiet", "--output", os.devnull]
    writer += ["--single-transaction", "--set", "ON_ERROR_STOP=1"]
    # In this order: when the reader fails, the writer is killed and nothing was committed.
    with _running(writer, dsn, stdin=PIPE) as filled, _running(reader, "", stdout=PIPE) as script:
        for line in islice(_output(script), _HEADER_LINES):
            if not line.startswith(_UNKNOWN_TO_OLDER):
                _input(filled).write(line)
        _pump(_output(script), _input(filled), progress)


def _pump(source: IO[bytes], target: IO[bytes], progress: Progress) -> None:
    done = 0
    while piece := source.read(_PIECE):
        target.write(piece)
        done += len(piece)
        progress(done)


@contextmanager
def _running(
    words: Sequence[str], dsn: str, *, stdin: int | None = None, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for as long as the block; raises OperatorError if it fails."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 - programs found by us
            words, env=_environment(dsn), stdin=stdin, stdout=stdout, stderr=errors
        ) as process,
    ):
        try:
            with suppress(BrokenPipeError):  # it ended early, and has said why
                yield process
                if process.stdin is not None:
                    process.stdin.close()
        except BaseException:
            process.kill()
            raise
        if process.wait():
            errors.seek(0)
            reason = " ".join(errors.read(_REASON_BYTES).decode(errors="replace").split())
            raise OperatorError(f"{Path(words[0]).name} failed: {reason}")


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    return process.stdout


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None  # noqa: S101 - it was asked for
    return process.stdin


@dataclass(frozen=True, slots=True)
class _Server:
    major: int
    schemas: list[str]


def _inspect(dsn: str) -> _Server:
    try:
        with psycopg.connect(dsn) as connection:
            has_workspaces = connection.execute(
                "SELECT to_regclass('innkeeper.workspaces') IS NOT NULL"
            ).fetchone()
            names: list[tuple[str]] = []
            if has_workspaces is not None and has_workspaces[0]:
                names = connection.execute("SELECT name FROM innkeeper.workspaces").fetchall()
            schemas = [*_SCHEMAS, *(schema_of(name) for (name,) in names)] if names else []
            return _Server(connection.info.server_version // 10000, schemas)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise OperatorError(f"The database {masked(dsn)} cannot be reached ({reason}).") from error


def _program(name: str, dsn: str, at_least: int = 0) -> str:
    """Return the path of a suitable PostgreSQL program; raises OperatorError if there is none."""
    options = psycopg.conninfo.conninfo_to_dict(dsn)
    encrypted = options.get("sslmode") in ("require", "verify-ca", "verify-full")
    on_path = shutil.which(name)
    folders = [Path(on_path).parent] if on_path else []
    # The embedded ones come first, but they were built without TLS.
    folders = [*folders, *program_folders()] if encrypted else [*program_folders(), *folders]
    for folder in folders:
        program = folder / name
        if os.access(program, os.X_OK) and _major(program) >= at_least:
            return str(program)
    raise OperatorError(
        f"No {name} of PostgreSQL {at_least or OLDEST_SERVER // 10000} or newer was found: "
        "install the PostgreSQL client programs."
    )


def _major(program: Path) -> int:
    output = subprocess.run(  # noqa: S603 - a program found by us
        [program, "--version"], check=False, capture_output=True, text=True
    ).stdout
    number = output.split()[2].partition(".")[0] if len(output.split()) > 2 else ""
    return int(number) if number.isdigit() else 0


def _environment(dsn: str) -> dict[str, str]:
    """Return the environment with the address of a database for a program.

    Other users of the machine can read the arguments of a process, but not its environment.
    """
    options = psycopg.pq.Conninfo.parse(dsn.encode())
    variables = {
        one.envvar.decode(): one.val.decode()
        for one in options
        if one.envvar is not None and one.val is not None
    }
    return {**os.environ, **variables}
