"""`innkeeper jobs`: list background jobs, and run a worker."""

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command

app = typer.Typer(help="Background jobs.", no_args_is_help=True)


@command(app, "list")
def jobs_list(
    context: CommandContext,
    status: Annotated[
        str | None, typer.Option(help="Only todo, doing, succeeded, failed or aborted ones.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of jobs.", min=1, max=1000)] = 50,
    json: Json = False,
) -> None:
    """List the newest jobs."""
    from innkeeper.actions.admin.background import list_jobs
    from innkeeper.cli.output import print_rows

    rows = context.control(lambda work: list_jobs(work, status, limit))
    columns = ("id", "task", "workspace", "status", "attempts", "scheduled_at", "finished_at")
    print_rows(rows, json, *columns)


@command(app, "run")
def jobs_run(
    context: CommandContext,
    once: Annotated[
        bool,
        typer.Option(help="Stop when no job is due, including jobs that were queued by others."),
    ] = False,
) -> None:
    """Run jobs in this process; any number of processes and machines may do so."""
    from innkeeper.actions.identity.rekeying import upgrade
    from innkeeper.jobs.worker import end_at_once, work_jobs
    from innkeeper.store.memory import collect_seldom

    collect_seldom()
    with context.database() as dsn:
        asyncio.run(upgrade(dsn))
        chosen = replace(context.settings, database=dsn)
        asyncio.run(work_jobs(chosen, once=once, lost=end_at_once))
