"""`innkeeper jobs`: what waits, runs or failed in the background, and a worker by hand."""

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command

app = typer.Typer(help="Background jobs.", no_args_is_help=True)


@command(app, "list")
def jobs_list(
    here: CommandContext,
    status: Annotated[
        str | None, typer.Option(help="Only todo, doing, succeeded, failed or aborted ones.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Most jobs to list.", min=1, max=1000)] = 50,
    json: Json = False,
) -> None:
    """List the newest jobs."""
    from innkeeper.actions.admin.background import list_jobs
    from innkeeper.cli.output import show, table

    rows = here.control(lambda work: list_jobs(work, status, limit))
    if json:
        show(rows)
    else:
        columns = ("id", "task", "workspace", "status", "attempts", "scheduled_at", "finished_at")
        table(rows, *columns)


@command(app, "run")
def jobs_run(
    here: CommandContext,
    once: Annotated[
        bool,
        typer.Option(help="Stop when nothing is due: what waited, and what came of it, is done."),
    ] = False,
) -> None:
    """Run jobs in this process as well; any number of machines may."""
    from innkeeper.actions.identity.rekeying import upgrade
    from innkeeper.jobs.worker import end_at_once, work_jobs
    from innkeeper.store.memory import collect_seldom

    collect_seldom()
    with here.database() as dsn:
        asyncio.run(upgrade(dsn))
        chosen = replace(here.settings, database=dsn)
        asyncio.run(work_jobs(chosen, once=once, lost=end_at_once))
