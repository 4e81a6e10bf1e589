"""`innkeeper keys`: API keys and what they may do."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from innkeeper.cli.options import CommandContext, Json, command

if TYPE_CHECKING:
    from innkeeper.rules.scopes import Scope

app = typer.Typer(help="API keys.", no_args_is_help=True)

Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        help="read, write, delete, personal_data or administration; repeatable.",
        show_default=False,
    ),
]
ClientKey = Annotated[str, typer.Argument(metavar="CLIENT_KEY", show_default=False)]


@command(app, "create")
def keys_create(
    context: CommandContext,
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
    json: Json = False,
) -> None:
    """Create a key and print its token, which cannot be shown again.

    Without --scope the key has every scope except administration.
    """
    from innkeeper.actions.admin import keys
    from innkeeper.cli.output import new_key
    from innkeeper.rules.scopes import DEFAULT_SCOPES

    scopes = _scopes(scope) if scope else DEFAULT_SCOPES
    key = context.control(
        lambda work: keys.create(work, workspace, compatibility, name, scopes=scopes)
    )
    new_key(key, json)


@command(app, "list")
def keys_list(
    context: CommandContext,
    workspace: Annotated[str | None, typer.Option(help="Only keys of this workspace.")] = None,
    json: Json = False,
) -> None:
    """List keys, including revoked ones, without their tokens."""
    from innkeeper.actions.admin import keys
    from innkeeper.cli.output import print_rows

    rows = context.control(lambda work: keys.list_all(work, workspace))
    columns = "client_key workspace compatibility scopes name created_at last_used_at revoked_at"
    print_rows(rows, json, *columns.split(), "expires_at")


@command(app, "revoke")
def keys_revoke(
    context: CommandContext,
    client_key: ClientKey,
) -> None:
    """Revoke a key, with immediate effect in every process."""
    from innkeeper.actions.admin import keys

    context.control(lambda work: keys.revoke(work, client_key))
    print(f"{client_key} is revoked.")


@command(app, "scopes")
def keys_scopes(
    context: CommandContext,
    client_key: ClientKey,
    scope: Scopes = None,
) -> None:
    """Replace the scopes of a key, with immediate effect in every process."""
    from innkeeper.actions.admin import keys

    scopes = _scopes(scope or [])
    context.control(lambda work: keys.set_scopes(work, client_key, scopes))
    print(f"{client_key} may {', '.join(sorted(scopes))}.")


@command(app, "rotate")
def keys_rotate(
    context: CommandContext,
    client_key: ClientKey,
    json: Json = False,
) -> None:
    """Give a key a new token; the old one stops working at once."""
    from innkeeper.actions.admin import keys
    from innkeeper.cli.output import new_key

    new_key(context.control(lambda work: keys.rotate(work, client_key)), json)


def _scopes(words: list[str]) -> "frozenset[Scope]":
    from innkeeper.rules.scopes import read_scopes

    return read_scopes(words)
