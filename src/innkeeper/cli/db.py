"""`innkeeper db`: the state of the database's migrations."""

import typer

from innkeeper.cli.options import Config, Data, Database, Json, settings
from innkeeper.settings import Settings

app = typer.Typer(help="The database's migrations.", no_args_is_help=True)


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
