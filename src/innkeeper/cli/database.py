"""How a command reaches the database, whether or not a server runs."""

import asyncio
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import Final, TypeVar

from innkeeper.actions.identity.rekeying import renew_keys
from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.store import running_servers
from innkeeper.store.data_folder import Busy, DataFolder
from innkeeper.store.database import Database
from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.migrate import migrate
from innkeeper.store.work import Work

Result = TypeVar("Result")

# Long enough for a server that is starting, or for another command that is at it.
_WAIT_SECONDS: Final = 20.0
_PAUSE_SECONDS: Final = 0.1


class FolderCreation(Enum):
    """Whether a command makes the embedded database where there is none."""

    NOTHING = auto()
    A_DATABASE = auto()
    A_DATABASE_WHERE_EMPTY = auto()
    """Only in a folder with nothing in it."""


@contextmanager
def reached(
    settings: Settings, command: str, makes: FolderCreation = FolderCreation.NOTHING
) -> Iterator[str]:
    """The address of the database: given, a running server's, or our own while this lasts.

    Raises OperatorError where there is none, unless the command `makes` one.
    """
    if settings.database:
        yield settings.database
        return
    folder = DataFolder(find_folder(settings))
    if not folder.is_owned():
        _check(folder, makes)
    running = _claimed_or_running(folder, command)
    if running is not None:
        yield running
        return
    try:
        # Whoever owned it may have ended before there was a database.
        _check(folder, makes)
        server = EmbeddedServer(folder.path)
        try:
            yield server.start()
        finally:
            server.stop()
    finally:
        folder.release()


def find_folder(settings: Settings) -> Path:
    """The data folder that a command is about: the one it was told, else the default one, else that
    of the only server of this user that runs."""
    if settings.data != Settings().data:
        return settings.data
    folder = DataFolder(settings.data)
    others = [one for one in running_servers.running() if Path(one.data) != settings.data]
    if folder.is_owned() or not others:
        return settings.data
    if folder.has_database:
        _note(f"using {settings.data}; a server runs on --data {others[0].data}")
        return settings.data
    if len(others) > 1:
        places = ", ".join(shlex.quote(one.data) for one in others)
        raise OperatorError(f"Several servers run: choose one with --data, of {places}.")
    _note(f"using the server at {others[0].url}, --data {shlex.quote(others[0].data)}")
    return Path(others[0].data)


def _note(text: str) -> None:
    print(f"innkeeper: {text}", file=sys.stderr)


def _check(folder: DataFolder, makes: FolderCreation) -> None:
    """Refuse a folder without a database that the command does not make."""
    if folder.has_database or makes is FolderCreation.A_DATABASE:
        return
    contents = folder.contents()
    if makes is FolderCreation.A_DATABASE_WHERE_EMPTY and not contents:
        return
    held = "the folder does not exist"
    if folder.path.is_dir():
        some = ", ".join(contents[:5]) + (" …" if len(contents) > 5 else "")
        held = f"it holds {some}" if contents else "the folder is empty"
    raise OperatorError(
        f"There is no database in {folder.path}: {held}. Name the folder of a server with --data, "
        "its database with --database, or make one with `innkeeper serve`."
    )


def run(
    settings: Settings,
    command: str,
    action: Callable[[Work], Awaitable[Result]],
    workspace: str | None = None,
) -> Result:
    """Do something with a workspace of an up-to-date database, or with its control tables.

    Raises OperatorError when there is no such workspace.
    """

    async def act(dsn: str) -> Result:
        await migrate(dsn)
        # A reset may take longer than any request should.
        database = Database(dsn, pool_size=1, statement_timeout_ms=0, settings=settings)
        await database.open()
        try:
            await renew_keys(database)
            async with database.control("operator") as work:
                if workspace is None:
                    return await action(work)
                if await work.one("control.find_workspace", name=workspace) is None:
                    raise OperatorError(f"There is no workspace {workspace}.")
            async with database.work(workspace, "operator") as work:
                return await action(work)
        finally:
            await database.close()

    with reached(settings, command) as dsn:
        return asyncio.run(act(dsn))


def _claimed_or_running(folder: DataFolder, command: str) -> str | None:
    """None when the folder is ours now, else the address that its running server announced."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            folder.claim(command)
            return None
        except Busy:
            announced = folder.announced()
            if announced is not None and announced.dsn is not None:
                return announced.dsn
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
