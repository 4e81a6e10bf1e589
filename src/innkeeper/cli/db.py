"""`innkeeper db`: migrations, dumps and restores."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from innkeeper.actions.admin.workspaces import list_all
from innkeeper.actions.identity.rekeying import upgrade
from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.cli.output import print_rows, progress_bar
from innkeeper.lake.compaction import rebuild
from innkeeper.settings import Settings
from innkeeper.store import dumps, migrate
from innkeeper.store.database import Database as Pool

app = typer.Typer()


@command(app, "status")
def db_status(context: CommandContext, json: Json = False) -> None:
    """Show applied and pending migrations; change nothing."""
    _migrations(context, json, migrates=False)


@command(app, "migrate")
def db_migrate(context: CommandContext, json: Json = False) -> None:
    """Apply pending migrations."""
    _migrations(context, json, migrates=True)


@command(app, "dump")
def db_dump(
    context: CommandContext, file: Annotated[Path, typer.Argument(help="File to write.")]
) -> None:
    """Write a consistent dump of the whole database to a file, while it is in use."""
    with context.database() as dsn, progress_bar() as follow:
        dumps.dump(dsn, file, _bytes("dumping", follow))
    print(f"{file}: {file.stat().st_size:,} bytes. It contains personal data: store it safely.")


@command(app, "restore")
def db_restore(
    context: CommandContext,
    file: Annotated[Path, typer.Argument(help="File that `innkeeper db dump` wrote.")],
) -> None:
    """Restore a dump into an empty database, embedded or a server, completely or not at all."""
    with context.database(restores=True) as dsn:
        with progress_bar() as follow:
            dumps.restore(dsn, file, _bytes("restoring", follow))
        asyncio.run(_feed_lakes(dsn, context.settings))
    print("Restored. The next server that runs rebuilds the lake's files.")


async def _feed_lakes(dsn: str, chosen: Settings) -> None:
    """Mark every lake for a rebuild: files listed in a restored database may not exist here."""
    await upgrade(dsn)
    async with Pool(dsn, pool_size=1, statement_timeout_ms=0, settings=chosen) as database:
        async with database.control("operator") as work:
            names = [row["name"] for row in await list_all(work)]
        for name in names:
            async with database.work(name, "operator") as work:
                await rebuild(work)


def _bytes(state: str, follow: Callable[..., None]) -> Callable[[int], None]:
    return lambda done: follow({"state": f"{state}, bytes", "done": done, "total": None})


def _migrations(context: CommandContext, json: bool, *, migrates: bool) -> None:
    with context.database() as dsn:
        if migrates:
            asyncio.run(upgrade(dsn))
        states = asyncio.run(migrate.status(dsn))
    rows = [
        {"scope": state.scope, "applied": state.applied, "pending": state.pending}
        for state in states
    ]
    print_rows(rows, json, "scope", "applied", "pending")
