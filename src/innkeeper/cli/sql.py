"""`innkeeper sql`: views for segments in SQL, steps of a query with times, saved queries."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from innkeeper.actions.audiences import sql_queries
from innkeeper.cli.options import Act, Name, command
from innkeeper.cli.output import table
from innkeeper.errors import OperatorError
from innkeeper.resources.base import Record
from innkeeper.store.work import Work

app = typer.Typer()
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A file with the SQL; - reads the standard input.")
]


def _print_views(views: list[Record]) -> None:
    rows = [{"view": each["name"], **column} for each in views for column in each["columns"]]
    table(rows, "view", "name", "type", "samples")


@command(app, "views", text=_print_views)
async def views(work: Work) -> Any:
    """List the views that SQL may read: columns, types and sample values."""
    return await sql_queries.list_sampled_views(work)


def _print_steps(explained: Record) -> None:
    rows = [
        {
            **step,
            "step": "  " * step["depth"] + step["operator"],
            "ms": round(step["seconds"] * 1000, 1),
        }
        for step in explained["steps"]
    ]
    table(rows, "step", "rows", "ms", "detail")


@command(app, "explain", text=_print_steps)
def explain(file: File) -> Act[Any]:
    """Run SQL without its result, and show its steps with rows and times."""
    sql = _read(file)
    return lambda work: sql_queries.explain(work, sql)


@command(app, "list", columns="name owner modified_by modified_at")
async def saved_list(work: Work) -> Any:
    """List saved queries."""
    return await sql_queries.list_saved(work)


@command(app, "show")
async def saved_show(work: Work, name: Name) -> Any:
    """Print a saved query."""
    return (await sql_queries.fetch_saved(work, name))["sql"]


@command(app, "save")
def saved_save(name: Name, file: File) -> Act[str]:
    """Save SQL under a name, or replace it."""
    sql = _read(file)

    async def act(work: Work) -> str:
        return f"{(await sql_queries.save(work, name, sql))['name']} is saved."

    return act


@command(app, "rename")
async def saved_rename(
    work: Work, name: Name, new: Annotated[str, typer.Argument(metavar="NEW-NAME")]
) -> str:
    """Rename a saved query."""
    return f"{name} is named {(await sql_queries.rename(work, name, new))['name']}."


@command(app, "delete")
async def saved_delete(work: Work, name: Name) -> str:
    """Delete a saved query; segments made from it stay as they are."""
    await sql_queries.delete(work, name)
    return f"{name} is deleted."


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{file} cannot be read: {error}") from error
