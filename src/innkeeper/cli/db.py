"""`innkeeper db`: the database's migrations, its dumps and how they are restored."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.settings import Settings

app = typer.Typer(help="The database: migrations, dumps.", no_args_is_help=True)


@command(app, "status")
def db_status(here: CommandContext, json: Json = False) -> None:
    """Show which migrations are applied and which are pending; change nothing."""
    _migrations(here, json, migrates=False)


@command(app, "migrate")
def db_migrate(here: CommandContext, json: Json = False) -> None:
    """Apply pending migrations."""
    _migrations(here, json, migrates=True)


@command(app, "dump")
def db_dump(
    here: CommandContext,
    file: Annotated[Path, typer.Argument(help="File to write.")],
) -> None:
    """Write everything that the database holds to a file, as of one moment, while it is in use."""
    from innkeeper.cli.output import progress_bar
    from innkeeper.store import dumps

    with here.database() as dsn, progress_bar() as follow:
        dumps.dump(dsn, file, _bytes("dumping", follow))
    print(f"{file}: {file.stat().st_size:,} bytes. It holds personal data: keep it as safe.")


@command(app, "restore")
def db_restore(
    here: CommandContext,
    file: Annotated[Path, typer.Argument(help="File that `innkeeper db dump` wrote.")],
) -> None:
    """Fill an empty database from a dump, wholly or not at all; also from embedded to a server."""
    import asyncio

    from innkeeper.cli.output import progress_bar
    from innkeeper.store import dumps

    with here.database(restores=True) as dsn:
        with progress_bar() as follow:
            dumps.restore(dsn, file, _bytes("restoring", follow))
        asyncio.run(_feed_lakes(dsn, here.settings))
    print("Restored. The lake's files are written again once a server runs.")


async def _feed_lakes(dsn: str, chosen: Settings) -> None:
    """The files that a restored database lists may be another's, or none: they are made anew."""
    from innkeeper.actions.admin.workspaces import list_all
    from innkeeper.actions.identity.rekeying import upgrade
    from innkeeper.lake.compaction import rebuild
    from innkeeper.store.database import Database as Pool

    await upgrade(dsn)
    database = Pool(dsn, pool_size=1, statement_timeout_ms=0, settings=chosen)
    await database.open()
    try:
        async with database.control("operator") as work:
            names = [row["name"] for row in await list_all(work)]
        for name in names:
            async with database.work(name, "operator") as work:
                await rebuild(work)
    finally:
        await database.close()


def _bytes(state: str, follow: Callable[..., None]) -> Callable[[int], None]:
    return lambda done: follow({"state": f"{state}, bytes", "done": done, "total": None})


def _migrations(here: CommandContext, json: bool, *, migrates: bool) -> None:
    import asyncio

    from innkeeper.actions.identity.rekeying import upgrade
    from innkeeper.cli.output import show, table
    from innkeeper.store import migrate

    with here.database() as dsn:
        if migrates:
            asyncio.run(upgrade(dsn))
        states = asyncio.run(migrate.status(dsn))
    rows = [
        {"scope": state.scope, "applied": state.applied, "pending": state.pending}
        for state in states
    ]
    if json:
        show(rows)
    else:
        table(rows, "scope", "applied", "pending")
