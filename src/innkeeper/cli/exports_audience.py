"""`innkeeper audience-exports`: list and run exports, and manage their OAuth clients."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from innkeeper.actions.admin import oauth
from innkeeper.actions.audiences import audience_exports, consent
from innkeeper.cli.options import Act, Workspace, command
from innkeeper.cli.output import table
from innkeeper.cli.segments import without_secrets
from innkeeper.resources.base import Record
from innkeeper.rules.consent import read_words
from innkeeper.store.work import Work

app = typer.Typer()
Export = Annotated[
    str, typer.Argument(metavar="EXPORT", help="Ref or friendly id.", show_default=False)
]


@command(app, "list", columns="friendly_id name definition_type schedule next_at ref")
async def exports_list(work: Work) -> list[Record]:
    """List exports."""
    return without_secrets(await audience_exports.list_all(work))


@command(app, "run")
async def exports_run(work: Work, export: Export) -> str:
    """Queue an execution of an export."""
    execution = await audience_exports.start(work, export)
    return f"Execution {execution['ref']} is {execution['status']}."


def _print_executions(rows: list[Record]) -> None:
    for row in rows:
        row["problem"] = row["error"] or row["delivery_error"] or "; ".join(row["errors"])
        row["next_attempt_at"] = row["next_attempt_at"] or row["delivery_next_at"]
    table(
        rows, "ref", "requested_at", "status", "total", "delivered_at", "problem", "next_attempt_at"
    )


@command(app, "executions", text=_print_executions)
async def exports_executions(work: Work, export: Export) -> list[Record]:
    """List an export's executions, newest first, with errors and the time of the next attempt."""
    _, rows = await audience_exports.list_executions(work, export)
    return rows


@command(app, "consent", columns="channel field values")
async def consent_list(work: Work) -> list[Record]:
    """List the fields by which exports leave out unsubscribed guests."""
    return [asdict(each) for each in await consent.list_fields(work)]


@command(app, "set-consent")
def consent_set(
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            help="CHANNEL=FIELD or CHANNEL=FIELD:VALUE,VALUE, such as EMAIL=ext.newsletter:no; "
            "repeat it for other channels. Channels that are not named have no field.",
        ),
    ] = None,
) -> Act[str]:
    """Replace the fields by which exports leave out unsubscribed guests."""
    items = [read_words(words) for words in fields or ()]

    async def act(work: Work) -> str:
        return f"{len(await consent.put_fields(work, items))} fields are declared."

    return act


@command(app, "create-client", columns="client_id client_secret", control=True)
async def client_create(
    work: Work,
    workspace: Workspace = "live",
    name: Annotated[str, typer.Option(help="What the client is for.")] = "",
) -> Record:
    """Create an OAuth client and print its secret, which cannot be shown again."""
    client = await oauth.create(work, workspace, name)
    return {"client_id": client.client_id, "client_secret": client.client_secret}


@command(
    app,
    "list-clients",
    columns="client_id workspace name created_at last_used_at revoked_at",
    control=True,
)
async def client_list(work: Work) -> Any:
    """List OAuth clients, including revoked ones, without their secrets."""
    return await oauth.list_all(work)


@command(app, "revoke-client", control=True)
async def client_revoke(
    work: Work, client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID", show_default=False)]
) -> str:
    """Revoke an OAuth client and all its tokens, with immediate effect."""
    await oauth.revoke(work, client_id)
    return f"{client_id} is revoked."
