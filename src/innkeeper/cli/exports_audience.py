"""`innkeeper audience-exports`: list and run exports, and the OAuth clients that read them."""

from typing import Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command

app = typer.Typer(help="Audience exports and their OAuth clients.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option(help="Workspace of the export.")]


@command(app, "list")
def exports_list(
    here: CommandContext,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List exports."""
    from innkeeper.actions.audiences import audience_exports
    from innkeeper.cli.output import show, table

    rows = here.run(workspace, audience_exports.list_all)
    if json:
        show([{name: row[name] for name in row if name != "webhook_secret"} for row in rows])
    else:
        table(rows, "friendly_id", "name", "definition_type", "schedule", "next_at", "ref")


@command(app, "run")
def exports_run(
    here: CommandContext,
    export: Annotated[
        str, typer.Argument(metavar="EXPORT", help="Ref or friendly id.", show_default=False)
    ],
    workspace: Workspace = "live",
) -> None:
    """Run an export; the background does."""
    from innkeeper.actions.audiences import audience_exports

    execution = here.run(workspace, lambda work: audience_exports.start(work, export))
    print(f"Execution {execution['ref']} is {execution['status']}.")


@command(app, "executions")
def exports_executions(
    here: CommandContext,
    export: Annotated[
        str, typer.Argument(metavar="EXPORT", help="Ref or friendly id.", show_default=False)
    ],
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List an export's executions, newest first: what is wrong, and when it is tried again."""
    from innkeeper.actions.audiences import audience_exports
    from innkeeper.cli.output import show, table

    _, rows = here.run(workspace, lambda work: audience_exports.list_executions(work, export))
    if json:
        show(rows)
        return
    for row in rows:
        row["problem"] = row["error"] or row["delivery_error"] or "; ".join(row["errors"])
        row["next_attempt_at"] = row["next_attempt_at"] or row["delivery_next_at"]
    table(
        rows, "ref", "requested_at", "status", "total", "delivered_at", "problem", "next_attempt_at"
    )


@command(app, "create-client")
def client_create(
    here: CommandContext,
    workspace: Workspace = "live",
    name: Annotated[str, typer.Option(help="What the client is for.")] = "",
    json: Json = False,
) -> None:
    """Create an OAuth client and show its secret, which is never shown again."""
    from innkeeper.actions.admin import oauth
    from innkeeper.cli.output import show, table

    made = here.control(lambda work: oauth.create(work, workspace, name))
    row = {"client_id": made.client_id, "client_secret": made.client_secret}
    if json:
        show(row)
    else:
        table([row], *row)


@command(app, "list-clients")
def client_list(here: CommandContext, json: Json = False) -> None:
    """List OAuth clients, revoked ones too, without their secrets."""
    from innkeeper.actions.admin import oauth
    from innkeeper.cli.output import show, table

    rows = here.control(oauth.list_all)
    if json:
        show(rows)
    else:
        table(rows, "client_id", "workspace", "name", "created_at", "last_used_at", "revoked_at")


@command(app, "revoke-client")
def client_revoke(
    here: CommandContext,
    client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID", show_default=False)],
) -> None:
    """End an OAuth client and every token it has, at once."""
    from innkeeper.actions.admin import oauth

    here.control(lambda work: oauth.revoke(work, client_id))
    print(f"{client_id} is revoked.")
