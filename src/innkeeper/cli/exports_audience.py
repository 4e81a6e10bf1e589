"""`innkeeper audience-exports`: list and run exports, and the OAuth clients that read them."""

from typing import Annotated

import typer

from innkeeper.cli.options import Config, Data, Database, Json, settings

app = typer.Typer(help="Audience exports and their OAuth clients.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option(help="Workspace of the export.")]


@app.command("list")
def exports_list(
    workspace: Workspace = "live",
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """List exports."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.audiences import audience_exports
    from innkeeper.cli.output import show, table
    from innkeeper.cli.reach import run

    rows = run(chosen, "exports list", audience_exports.list_all, workspace=workspace)
    if json:
        show([{name: row[name] for name in row if name != "webhook_secret"} for row in rows])
    else:
        table(rows, "friendly_id", "name", "definition_type", "schedule", "next_at", "ref")


@app.command("run")
def exports_run(
    export: Annotated[
        str, typer.Argument(metavar="EXPORT", help="Ref or friendly id.", show_default=False)
    ],
    workspace: Workspace = "live",
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Run an export; the background does."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.audiences import audience_exports
    from innkeeper.cli.reach import run

    execution = run(
        chosen,
        "exports run",
        lambda work: audience_exports.start(work, export),
        workspace=workspace,
    )
    print(f"Execution {execution['ref']} is {execution['status']}.")


@app.command("create-client")
def client_create(
    workspace: Workspace = "live",
    name: Annotated[str, typer.Option(help="What the client is for.")] = "",
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Create an OAuth client and show its secret, which is never shown again."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import oauth
    from innkeeper.cli.output import show, table
    from innkeeper.cli.reach import run

    made = run(chosen, "create-client", lambda work: oauth.create(work, workspace, name))
    row = {"client_id": made.client_id, "client_secret": made.client_secret}
    if json:
        show(row)
    else:
        table([row], *row)


@app.command("list-clients")
def client_list(
    data: Data = None, database: Database = None, config: Config = None, json: Json = False
) -> None:
    """List OAuth clients, revoked ones too, without their secrets."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import oauth
    from innkeeper.cli.output import show, table
    from innkeeper.cli.reach import run

    rows = run(chosen, "list-clients", oauth.list_all)
    if json:
        show(rows)
    else:
        table(rows, "client_id", "workspace", "name", "created_at", "last_used_at", "revoked_at")


@app.command("revoke-client")
def client_revoke(
    client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID", show_default=False)],
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """End an OAuth client and every token it has, at once."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import oauth
    from innkeeper.cli.reach import run

    run(chosen, "revoke-client", lambda work: oauth.revoke(work, client_id))
    print(f"{client_id} is revoked.")
