"""`innkeeper workspaces`: isolated workspaces, each with a sandbox."""

import sys
from typing import Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command

app = typer.Typer(help="Workspaces and their sandboxes.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


@command(app, "list")
def workspaces_list(context: CommandContext, json: Json = False) -> None:
    """List workspaces, each followed by its sandbox."""
    from innkeeper.actions.admin import workspaces
    from innkeeper.cli.output import print_rows

    rows = context.control(workspaces.list_all)
    print_rows(rows, json, "name", "sandbox_of", "created_at")


@command(app, "create")
def workspaces_create(
    context: CommandContext,
    name: Name,
    json: Json = False,
) -> None:
    """Create a workspace and its sandbox, each with a key whose token is printed only once."""
    from innkeeper.actions.admin import workspaces
    from innkeeper.cli.output import print_rows

    created = context.control(lambda work: workspaces.create(work, name))
    rows = [
        {
            "workspace": workspace,
            "client_key": key.client_key,
            "api_token": key.api_token,
            "compatibility": key.compatibility,
        }
        for workspace, key in created.items()
    ]
    print_rows(rows, json, "workspace", "client_key", "api_token", "compatibility")


@command(app, "reset")
def workspaces_reset(
    context: CommandContext,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete everything in a sandbox except its keys; other workspaces are refused."""
    from innkeeper.actions.admin import workspaces

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete everything in {name}?", abort=True)
    context.control(lambda work: workspaces.reset(work, name))
    print(f"{name} is empty.")
