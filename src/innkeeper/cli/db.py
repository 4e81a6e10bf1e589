"""`innkeeper db`: the database's migrations, its dumps and how they are restored."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from innkeeper.cli.options import Config, Data, Database, Json, settings
from innkeeper.settings import Settings

app = typer.Typer(help="The database: migrations, dumps.", no_args_is_help=True)


@app.command("status")
def db_status(
    data: Data = None, database: Database = None, config: Config = None, json: Json = False
) -> None:
    """Show which migrations are applied and which are pending; change nothing."""
    _migrations("status", settings(config, data=data, database=database), json)


@app.command("migrate")
def db_migrate(
    data: Data = None, database: Database = None, config: Config = None, json: Json = False
) -> None:
    """Apply pending migrations."""
    _migrations("migrate", settings(config, data=data, database=database), json)


@app.command("dump")
def db_dump(
    file: Annotated[Path, typer.Argument(help="File to write.")],
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Write everything that the database holds to a file, as of one moment, while it is in use."""
    from innkeeper.cli.output import progress_bar
    from innkeeper.cli.reach import reached
    from innkeeper.store import dumps

    chosen = settings(config, data=data, database=database)
    with reached(chosen, "db dump") as dsn, progress_bar() as follow:
        dumps.dump(dsn, file, _bytes("dumping", follow))
    print(f"{file}: {file.stat().st_size:,} bytes. It holds personal data: keep it as safe.")


@app.command("restore")
def db_restore(
    file: Annotated[Path, typer.Argument(help="File that `innkeeper db dump` wrote.")],
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Fill an empty database from a dump, wholly or not at all; also from embedded to a server."""
    import asyncio

    from innkeeper.cli.output import progress_bar
    from innkeeper.cli.reach import reached
    from innkeeper.store import dumps

    chosen = settings(config, data=data, database=database)
    with reached(chosen, "db restore") as dsn:
        with progress_bar() as follow:
            dumps.restore(dsn, file, _bytes("restoring", follow))
        asyncio.run(_feed_lakes(dsn, chosen))
    print("Restored. The lake's files are written again once a server runs.")


async def _feed_lakes(dsn: str, chosen: Settings) -> None:
    """The files that a restored database lists may be another's, or none: they are made anew."""
    from innkeeper.actions.admin.workspaces import list_all
    from innkeeper.lake.compaction import rebuild
    from innkeeper.store.database import Database as Pool
    from innkeeper.store.migrate import migrate

    await migrate(dsn)
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


def _migrations(command: str, chosen: Settings, json: bool) -> None:
    import asyncio

    from innkeeper.cli.output import show, table
    from innkeeper.cli.reach import reached
    from innkeeper.store import migrate

    with reached(chosen, f"db {command}") as dsn:
        if command == "migrate":
            asyncio.run(migrate.migrate(dsn))
        states = asyncio.run(migrate.status(dsn))
    rows = [
        {"scope": state.scope, "applied": state.applied, "pending": state.pending}
        for state in states
    ]
    if json:
        show(rows)
    else:
        table(rows, "scope", "applied", "pending")
