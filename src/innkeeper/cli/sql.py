"""`innkeeper sql`: views for segments in SQL, steps of a query with times, saved queries."""

from pathlib import Path
from typing import Annotated, Any

import typer

from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.errors import OperatorError

app = typer.Typer(help="SQL for segments: views, times, saved queries.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option(help="Workspace of the queries.")]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A file with the SQL; - reads the standard input.")
]


@command(app, "views")
def views(context: CommandContext, workspace: Workspace = "live", json: Json = False) -> None:
    """List the views that SQL may read: columns, types and sample values."""
    from innkeeper.actions.audiences import sql_queries
    from innkeeper.cli.output import show, table

    listed = context.run(workspace, sql_queries.list_sampled_views)
    if json:
        show(listed)
        return
    rows = [{"view": each["name"], **column} for each in listed for column in each["columns"]]
    table(rows, "view", "name", "type", "samples")


@command(app, "explain")
def explain(
    context: CommandContext, file: File, workspace: Workspace = "live", json: Json = False
) -> None:
    """Run SQL without its result, and show its steps with rows and times."""
    from innkeeper.actions.audiences import sql_queries
    from innkeeper.cli.output import show, table

    sql = _read(file)
    explained = context.run(workspace, lambda work: sql_queries.explain(work, sql))
    if json:
        show(explained)
        return
    rows = [
        {
            **step,
            "step": "  " * step["depth"] + step["operator"],
            "ms": round(step["seconds"] * 1000, 1),
        }
        for step in explained["steps"]
    ]
    table(rows, "step", "rows", "ms", "detail")


@command(app, "list")
def saved_list(context: CommandContext, workspace: Workspace = "live", json: Json = False) -> None:
    """List saved queries."""
    from innkeeper.actions.audiences import sql_queries
    from innkeeper.cli.output import print_rows

    rows = context.run(workspace, sql_queries.list_saved)
    print_rows(rows, json, "name", "modified_by", "modified_at")


@command(app, "show")
def saved_show(context: CommandContext, name: Name, workspace: Workspace = "live") -> None:
    """Print a saved query."""
    from innkeeper.actions.audiences import sql_queries

    print(context.run(workspace, lambda work: sql_queries.fetch_saved(work, name))["sql"])


@command(app, "save")
def saved_save(
    context: CommandContext, name: Name, file: File, workspace: Workspace = "live"
) -> None:
    """Save SQL under a name, or replace it."""
    from innkeeper.actions.audiences import sql_queries

    sql = _read(file)
    row: dict[str, Any] = context.run(workspace, lambda work: sql_queries.save(work, name, sql))
    print(f"{row['name']} is saved.")


@command(app, "delete")
def saved_delete(context: CommandContext, name: Name, workspace: Workspace = "live") -> None:
    """Delete a saved query; segments made from it stay as they are."""
    from innkeeper.actions.audiences import sql_queries

    context.run(workspace, lambda work: sql_queries.delete(work, name))
    print(f"{name} is deleted.")


def _read(file: Path) -> str:
    import sys

    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{file} cannot be read: {error}") from error
