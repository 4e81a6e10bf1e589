"""`innkeeper keys`: API keys and what they may do."""

from typing import Annotated, Any, Final, Literal

import typer

from innkeeper.actions.admin import keys, sandbox_tokens
from innkeeper.cli.options import Act, command
from innkeeper.cli.output import key_row
from innkeeper.rules.scopes import DEFAULT_SCOPES, EVERY_SCOPE, read_scopes
from innkeeper.store.work import Work

app = typer.Typer()

Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        help="read, write, delete, personal_data or administration; repeatable.",
        show_default=False,
    ),
]
ClientKey = Annotated[str, typer.Argument(metavar="CLIENT_KEY", show_default=False)]
KEY_COLUMNS: Final = "client_key api_token compatibility scopes"


@command(app, "create", columns=KEY_COLUMNS, control=True)
def keys_create(
    workspace: Annotated[
        str, typer.Option(help="Workspace that the key gives access to.")
    ] = "live",
    compatibility: Annotated[
        Literal["open", "official"],
        typer.Option(
            help="Which documentation the API follows where they contradict each other: open or "
            "official."
        ),
    ] = "open",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: Scopes = None,
) -> Act[dict[str, Any]]:
    """Create a key and print its token, which cannot be shown again.

    Without --scope the key has every scope except administration.
    """
    scopes = read_scopes(scope) if scope else DEFAULT_SCOPES

    async def act(work: Work) -> dict[str, Any]:
        return key_row(await keys.create(work, workspace, compatibility, name, scopes=scopes))

    return act


@command(
    app,
    "list",
    columns="client_key workspace compatibility scopes name created_at last_used_at revoked_at "
    "expires_at",
    control=True,
)
async def keys_list(
    work: Work,
    workspace: Annotated[str | None, typer.Option(help="Only keys of this workspace.")] = None,
) -> Any:
    """List keys, including revoked ones, without their tokens."""
    return await keys.list_all(work, workspace)


@command(app, "revoke", control=True)
async def keys_revoke(work: Work, client_key: ClientKey) -> str:
    """Revoke a key, in every process within moments."""
    await keys.revoke(work, client_key)
    return f"{client_key} is revoked."


@command(app, "scopes", control=True)
def keys_scopes(client_key: ClientKey, scope: Scopes = None) -> Act[str]:
    """Replace the scopes of a key, in every process within moments."""
    scopes = read_scopes(scope or [])

    async def act(work: Work) -> str:
        await keys.set_scopes(work, client_key, scopes)
        return f"{client_key} may {', '.join(sorted(scopes))}."

    return act


@command(app, "rotate", columns=KEY_COLUMNS, control=True)
async def keys_rotate(work: Work, client_key: ClientKey) -> dict[str, Any]:
    """Give a key a new token; the old one stops working at once."""
    return key_row(await keys.rotate(work, client_key))


@command(app, "sandbox-token", columns="client_key api_token scopes expires_at", control=True)
async def keys_sandbox_token(
    work: Work,
    workspace: Annotated[str, typer.Option(help="Workspace whose sandbox it opens.")] = "live",
) -> dict[str, Any]:
    """Create a key of the sandbox for trying requests, valid for an hour."""
    key = await sandbox_tokens.create(work, workspace, EVERY_SCOPE)
    return {**key_row(key), "expires_at": key.expires_at}
