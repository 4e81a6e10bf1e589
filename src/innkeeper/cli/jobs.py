"""`innkeeper jobs`: list background jobs, and run a worker."""

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from innkeeper.actions.admin import long_jobs
from innkeeper.actions.admin.background import list_jobs
from innkeeper.actions.identity.rekeying import upgrade
from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.cli.output import print_rows
from innkeeper.errors import OperatorError
from innkeeper.store.memory import collect_seldom

app = typer.Typer()


@command(app, "list")
def jobs_list(
    context: CommandContext,
    status: Annotated[
        str | None, typer.Option(help="Only todo, doing, succeeded, failed or aborted ones.")
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(
            help="Workspace whose imports, exports and other long jobs to list with their "
            "progress, as its pages do, instead of the queue."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of jobs.", min=1, max=1000)] = 50,
    json: Json = False,
) -> None:
    """List the newest jobs of the queue, or the long ones of a workspace."""
    if workspace is not None:
        if status is not None:
            raise OperatorError("--status selects jobs of the queue: leave out --workspace.")
        rows = context.run(workspace, lambda work: long_jobs.list_newest(work, limit))
        names = ("kind", "name", "state", "done", "total", "started_at", "finished_at", "error")
        print_rows(rows, json, *names, "ref")
        return
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
    """Run jobs in this process; any number of processes and machines may run jobs."""
    from innkeeper.jobs.worker import end_at_once, work_jobs

    collect_seldom()
    with context.database() as dsn:
        asyncio.run(upgrade(dsn))
        chosen = replace(context.settings, database=dsn)
        asyncio.run(work_jobs(chosen, once=once, lost=end_at_once))
