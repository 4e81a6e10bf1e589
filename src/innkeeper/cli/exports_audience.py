"""`innkeeper audience-exports`: list and run exports, and manage their OAuth clients."""

from typing import Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command

app = typer.Typer(help="Audience exports and their OAuth clients.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option(help="Workspace of the export.")]


@command(app, "list")
def exports_list(
    context: CommandContext,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List exports."""
    from innkeeper.actions.audiences import audience_exports
    from innkeeper.cli.output import print_rows

    rows = context.run(workspace, audience_exports.list_all)
    public = [{name: row[name] for name in row if name != "webhook_secret"} for row in rows]
    print_rows(public, json, "friendly_id", "name", "definition_type", "schedule", "next_at", "ref")


@command(app, "run")
def exports_run(
    context: CommandContext,
    export: Annotated[
        str, typer.Argument(metavar="EXPORT", help="Ref or friendly id.", show_default=False)
    ],
    workspace: Workspace = "live",
) -> None:
    """Queue an execution of an export."""
    from innkeeper.actions.audiences import audience_exports

    execution = context.run(workspace, lambda work: audience_exports.start(work, export))
    print(f"Execution {execution['ref']} is {execution['status']}.")


@command(app, "executions")
def exports_executions(
    context: CommandContext,
    export: Annotated[
        str, typer.Argument(metavar="EXPORT", help="Ref or friendly id.", show_default=False)
    ],
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List an export's executions, newest first, with errors and the time of the next attempt."""
    from innkeeper.actions.audiences import audience_exports
    from innkeeper.cli.output import show, table

    _, rows = context.run(workspace, lambda work: audience_exports.list_executions(work, export))
    if json:
        show(rows)
        return
    for row in rows:
        row["problem"] = row["error"] or row["delivery_error"] or "; ".join(row["errors"])
        row["next_attempt_at"] = row["next_attempt_at"] or row["delivery_next_at"]
    table(
        rows, "ref", "requested_at", "status", "total", "delivered_at", "problem", "next_attempt_at"
    )


@command(app, "consent")
def consent_list(
    context: CommandContext, workspace: Workspace = "live", json: Json = False
) -> None:
    """List the fields by which exports leave out unsubscribed guests."""
    from dataclasses import asdict

    from innkeeper.actions.audiences import consent
    from innkeeper.cli.output import print_rows

    fields = context.run(workspace, consent.list_fields)
    print_rows([asdict(each) for each in fields], json, "channel", "field", "values")


@command(app, "set-consent")
def consent_set(
    context: CommandContext,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            help="CHANNEL=FIELD or CHANNEL=FIELD:VALUE,VALUE, such as EMAIL=ext.newsletter:no; "
            "repeat it for other channels. Channels that are not named have no field.",
        ),
    ] = None,
    workspace: Workspace = "live",
) -> None:
    """Replace the fields by which exports leave out unsubscribed guests."""
    from innkeeper.actions.audiences import consent
    from innkeeper.rules.consent import read_words

    items = [read_words(words) for words in fields or ()]
    stored = context.run(workspace, lambda work: consent.put_fields(work, items))
    print(f"{len(stored)} fields are declared.")


@command(app, "create-client")
def client_create(
    context: CommandContext,
    workspace: Workspace = "live",
    name: Annotated[str, typer.Option(help="What the client is for.")] = "",
    json: Json = False,
) -> None:
    """Create an OAuth client and print its secret, which cannot be shown again."""
    from innkeeper.actions.admin import oauth
    from innkeeper.cli.output import print_rows

    client = context.control(lambda work: oauth.create(work, workspace, name))
    row = {"client_id": client.client_id, "client_secret": client.client_secret}
    print_rows(row, json, *row)


@command(app, "list-clients")
def client_list(context: CommandContext, json: Json = False) -> None:
    """List OAuth clients, including revoked ones, without their secrets."""
    from innkeeper.actions.admin import oauth
    from innkeeper.cli.output import print_rows

    rows = context.control(oauth.list_all)
    print_rows(
        rows, json, "client_id", "workspace", "name", "created_at", "last_used_at", "revoked_at"
    )


@command(app, "revoke-client")
def client_revoke(
    context: CommandContext,
    client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID", show_default=False)],
) -> None:
    """Revoke an OAuth client and all its tokens, with immediate effect."""
    from innkeeper.actions.admin import oauth

    context.control(lambda work: oauth.revoke(work, client_id))
    print(f"{client_id} is revoked.")
