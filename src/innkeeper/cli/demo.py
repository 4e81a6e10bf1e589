"""`innkeeper demo`: a believable shop to look at."""

import asyncio
from typing import Annotated

import typer

from innkeeper.cli.options import Config, Data, Database, Json, settings
from innkeeper.settings import Settings


def demo(
    guests: Annotated[int, typer.Option(min=1, help="People who came to the shop.")] = 5000,
    workspace: Annotated[str, typer.Option(help="Empty workspace to fill.")] = "live",
    seed: Annotated[int, typer.Option(help="Another seed tells other stories.")] = 1,
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Fill a workspace with a shop: guests, 18 months of sessions and orders, duplicates."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.cli.output import show
    from innkeeper.cli.reach import reached

    with reached(chosen, "demo") as dsn:
        told = asyncio.run(_load(dsn, chosen, workspace, guests, seed, quiet=json))
    if json:
        show(told)
    else:
        counts = ", ".join(f"{count:,} {what}" for what, count in told.items())
        print(f"{workspace} holds a shop now: {counts}.")


async def _load(
    dsn: str, chosen: Settings, workspace: str, guests: int, seed: int, *, quiet: bool
) -> dict[str, int]:
    from rich.progress import Progress

    from innkeeper.actions.console.demo import load
    from innkeeper.store.database import Database
    from innkeeper.store.migrate import migrate

    await migrate(dsn)
    database = Database(dsn, pool_size=6, statement_timeout_ms=0, settings=chosen)
    await database.open()
    try:
        with Progress(transient=True, disable=quiet) as bar:
            task = bar.add_task("People come and go", total=guests)
            return await load(
                *(database, workspace, guests, seed), lambda done: bar.update(task, completed=done)
            )
    finally:
        await database.close()
