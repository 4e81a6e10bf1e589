"""`innkeeper keys`: who may call."""

from typing import Annotated, Literal

import typer

from innkeeper.cli.options import Here, Json, command

app = typer.Typer(help="API keys.", no_args_is_help=True)

ClientKey = Annotated[str, typer.Argument(metavar="CLIENT_KEY", show_default=False)]


@command(app, "create")
def keys_create(
    here: Here,
    workspace: Annotated[str, typer.Option(help="Workspace that the key opens.")] = "live",
    compatibility: Annotated[
        Literal["open", "official"],
        typer.Option(help="Which API decides where the documented ones contradict each other."),
    ] = "open",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    json: Json = False,
) -> None:
    """Create a key and show its token, which is never shown again."""
    from innkeeper.actions.admin import keys
    from innkeeper.cli.output import new_key

    made = here.control(lambda work: keys.create(work, workspace, compatibility, name))
    new_key(made, json)


@command(app, "list")
def keys_list(
    here: Here,
    workspace: Annotated[str | None, typer.Option(help="Only the keys of this one.")] = None,
    json: Json = False,
) -> None:
    """List keys, revoked ones too, without their tokens."""
    from innkeeper.actions.admin import keys
    from innkeeper.cli.output import show, table

    rows = here.control(lambda work: keys.list_all(work, workspace))
    if json:
        show(rows)
    else:
        columns = "client_key workspace compatibility name created_at last_used_at revoked_at"
        table(rows, *columns.split())


@command(app, "revoke")
def keys_revoke(
    here: Here,
    client_key: ClientKey,
) -> None:
    """End a key, at once and in every process."""
    from innkeeper.actions.admin import keys

    here.control(lambda work: keys.revoke(work, client_key))
    print(f"{client_key} is revoked.")


@command(app, "rotate")
def keys_rotate(
    here: Here,
    client_key: ClientKey,
    json: Json = False,
) -> None:
    """Give a key another token; the old one ends at once."""
    from innkeeper.actions.admin import keys
    from innkeeper.cli.output import new_key

    new_key(here.control(lambda work: keys.rotate(work, client_key)), json)
