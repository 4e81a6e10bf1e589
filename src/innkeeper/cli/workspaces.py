"""`innkeeper workspaces`: isolated workspaces, each with a sandbox."""

import sys
from typing import Any

import typer

from innkeeper.actions.admin import workspaces
from innkeeper.cli.options import CommandContext, Name, Yes, command
from innkeeper.store.work import Work

app = typer.Typer()


@command(app, "list", columns="name sandbox_of created_at", control=True)
async def workspaces_list(work: Work) -> Any:
    """List workspaces, each followed by its sandbox."""
    return await workspaces.list_all(work)


@command(app, "create", columns="workspace client_key api_token compatibility", control=True)
async def workspaces_create(work: Work, name: Name) -> list[dict[str, str]]:
    """Create a workspace and its sandbox, each with a key whose token is printed only once."""
    created = await workspaces.create(work, name)
    return [
        {
            "workspace": workspace,
            "client_key": key.client_key,
            "api_token": key.api_token,
            "compatibility": key.compatibility,
        }
        for workspace, key in created.items()
    ]


@command(app, "reset")
def workspaces_reset(context: CommandContext, name: Name, yes: Yes = False) -> None:
    """Delete everything in a sandbox except its keys; other workspaces are refused."""
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete everything in {name}?", abort=True)
    context.control(lambda work: workspaces.reset(work, name))
    print(f"{name} is empty.")
