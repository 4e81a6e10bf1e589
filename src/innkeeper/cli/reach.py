"""How a command reaches the database, whether or not a server runs."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from innkeeper.actions.recognition.rekeying import make_keys_again
from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.folder import Busy, DataFolder
from innkeeper.store.migrate import migrate
from innkeeper.store.work import Work

Result = TypeVar("Result")

# Long enough for a server that is starting, or for another command that is at it.
_WAIT_SECONDS: Final = 20.0
_PAUSE_SECONDS: Final = 0.1


@contextmanager
def reached(settings: Settings, command: str) -> Iterator[str]:
    """The address of the database: given, a running server's, or our own while this lasts."""
    if settings.database:
        yield settings.database
        return
    folder = DataFolder(settings.data)
    running = _claimed_or_running(folder, command)
    if running is not None:
        yield running
        return
    try:
        server = EmbeddedServer(settings.data)
        try:
            yield server.start()
        finally:
            server.stop()
    finally:
        folder.release()


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
            await make_keys_again(database)
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
