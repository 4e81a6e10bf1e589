"""`innkeeper jobs`: what waits, runs or failed in the background, and a worker by hand."""

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from innkeeper.cli.options import Config, Data, Database, Json, settings

app = typer.Typer(help="Background jobs.", no_args_is_help=True)


@app.command("list")
def jobs_list(
    status: Annotated[
        str | None, typer.Option(help="Only todo, doing, succeeded, failed or aborted ones.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Most jobs to list.", min=1, max=1000)] = 50,
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """List the newest jobs."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin.background import list_jobs
    from innkeeper.cli.output import show, table
    from innkeeper.cli.reach import run

    rows = run(chosen, "jobs list", lambda work: list_jobs(work, status, limit))
    if json:
        show(rows)
    else:
        table(rows, "id", "task", "workspace", "status", "attempts", "scheduled_at")


@app.command("run")
def jobs_run(
    once: Annotated[bool, typer.Option(help="Stop when no job is waiting.")] = False,
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Run jobs in this process as well; any number of machines may."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.cli.reach import reached
    from innkeeper.jobs.worker import work_jobs
    from innkeeper.store.migrate import migrate

    with reached(chosen, "jobs run") as dsn:
        asyncio.run(migrate(dsn))
        asyncio.run(work_jobs(replace(chosen, database=dsn), once=once))
