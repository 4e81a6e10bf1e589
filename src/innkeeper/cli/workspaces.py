"""`innkeeper workspaces`: isolated sets of data, each with its sandbox."""

import sys
from typing import Annotated

import typer

from innkeeper.cli.options import Config, Data, Database, Json, settings

app = typer.Typer(help="Workspaces and their sandboxes.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


@app.command("list")
def workspaces_list(
    data: Data = None, database: Database = None, config: Config = None, json: Json = False
) -> None:
    """List workspaces, each before its sandbox."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import workspaces
    from innkeeper.cli.output import show, table
    from innkeeper.cli.reach import run

    rows = run(chosen, "workspaces list", workspaces.list_all)
    if json:
        show(rows)
    else:
        table(rows, "name", "sandbox_of", "created_at")


@app.command("create")
def workspaces_create(
    name: Name,
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Create a workspace and its sandbox, each with a key whose token is shown once."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import workspaces
    from innkeeper.cli.output import show, table
    from innkeeper.cli.reach import run

    made = run(chosen, "workspaces create", lambda work: workspaces.create(work, name))
    rows = [
        {
            "workspace": workspace,
            "client_key": key.client_key,
            "api_token": key.api_token,
            "compatibility": key.compatibility,
        }
        for workspace, key in made.items()
    ]
    if json:
        show(rows)
    else:
        table(rows, "workspace", "client_key", "api_token", "compatibility")


@app.command("reset")
def workspaces_reset(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Delete everything in a sandbox; its keys stay. Any other workspace is refused."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import workspaces
    from innkeeper.cli.reach import run

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete everything in {name}?", abort=True)
    run(chosen, "workspaces reset", lambda work: workspaces.reset(work, name))
    print(f"{name} is empty.")
