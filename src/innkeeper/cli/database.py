"""Connect a command to the database, whether or not a server is running."""

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
from innkeeper.errors import OperatorError, existing
from innkeeper.settings import Settings
from innkeeper.store import running_servers
from innkeeper.store.data_folder import Busy, DataFolder
from innkeeper.store.database import Database
from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.migrate import migrate
from innkeeper.store.work import Work

Result = TypeVar("Result")

# Long enough for a server that is starting, or for another command to finish.
_WAIT_SECONDS: Final = 20.0
_PAUSE_SECONDS: Final = 0.1


class FolderCreation(Enum):
    """Whether a command creates the embedded database if there is none."""

    NOTHING = auto()
    A_DATABASE = auto()
    A_DATABASE_WHERE_EMPTY = auto()
    """Only in an empty folder."""


@contextmanager
def running_database(
    settings: Settings, command: str, creation: FolderCreation = FolderCreation.NOTHING
) -> Iterator[str]:
    """Yield the address of the database.

    It is the configured one, that of a running server, or that of an embedded one started here for
    as long as the context lasts. Raises OperatorError if there is no database and `creation` does
    not allow one.
    """
    if settings.database:
        yield settings.database
        return
    folder = DataFolder(find_folder(settings))
    if not folder.is_owned():
        _check(folder, creation)
    running = _claim_or_find_server(folder, command)
    if running is not None:
        yield running
        return
    try:
        # The previous owner may have ended before it created a database.
        _check(folder, creation)
        server = EmbeddedServer(folder.path)
        try:
            yield server.start()
        finally:
            server.stop()
    finally:
        folder.release()


def find_folder(settings: Settings) -> Path:
    """Return the data folder of a command.

    It is the one in the settings, else the default one, else that of this user's only running
    server. Raises OperatorError if several servers run and the default folder has no database.
    """
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
        folders = ", ".join(shlex.quote(one.data) for one in others)
        raise OperatorError(f"Several servers run: choose one with --data, of {folders}.")
    _note(f"using the server at {others[0].url}, --data {shlex.quote(others[0].data)}")
    return Path(others[0].data)


def _note(text: str) -> None:
    print(f"innkeeper: {text}", file=sys.stderr)


def _check(folder: DataFolder, creation: FolderCreation) -> None:
    """Raise OperatorError if the folder has no database and none may be created."""
    if folder.has_database or creation is FolderCreation.A_DATABASE:
        return
    contents = folder.contents()
    if creation is FolderCreation.A_DATABASE_WHERE_EMPTY and not contents:
        return
    state = "the folder does not exist"
    if folder.path.is_dir():
        some = ", ".join(contents[:5]) + (" …" if len(contents) > 5 else "")
        state = f"it holds {some}" if contents else "the folder is empty"
    raise OperatorError(
        f"There is no database in {folder.path}: {state}. Name the folder of a server with --data, "
        "its database with --database, or make one with `innkeeper serve`."
    )


def run(
    settings: Settings,
    command: str,
    action: Callable[[Work], Awaitable[Result]],
    workspace: str | None = None,
) -> Result:
    """Migrate the database and run `action` in a workspace, or without one on the control tables.

    Raises `Unknown` if there is no such workspace.
    """

    async def act(dsn: str) -> Result:
        await migrate(dsn)
        # A reset may take longer than a request is allowed to.
        async with Database(
            dsn, pool_size=1, statement_timeout_ms=0, settings=settings
        ) as database:
            await renew_keys(database)
            async with database.control("operator") as work:
                if workspace is None:
                    return await action(work)
                row = await work.one("control.find_workspace", name=workspace)
                existing(row, "Workspace", workspace)
            async with database.work(workspace, "operator") as work:
                return await action(work)

    with running_database(settings, command) as dsn:
        return asyncio.run(act(dsn))


def _claim_or_find_server(folder: DataFolder, command: str) -> str | None:
    """Claim the folder and return None, or return the database address of its running server.

    Raises Busy if neither is possible within the time allowed.
    """
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
