"""`innkeeper keys`: who may call."""

from typing import Annotated, Literal

import typer

from innkeeper.cli.options import Config, Data, Database, Json, settings

app = typer.Typer(help="API keys.", no_args_is_help=True)

ClientKey = Annotated[str, typer.Argument(metavar="CLIENT_KEY", show_default=False)]


@app.command("create")
def keys_create(
    workspace: Annotated[str, typer.Option(help="Workspace that the key opens.")] = "live",
    compatibility: Annotated[
        Literal["open", "official"],
        typer.Option(help="Which API decides where the documented ones contradict each other."),
    ] = "open",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Create a key and show its token, which is never shown again."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import keys
    from innkeeper.cli.output import new_key
    from innkeeper.cli.reach import run

    made = run(
        chosen, "keys create", lambda work: keys.create(work, workspace, compatibility, name)
    )
    new_key(made, json)


@app.command("list")
def keys_list(
    workspace: Annotated[str | None, typer.Option(help="Only the keys of this one.")] = None,
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """List keys, revoked ones too, without their tokens."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import keys
    from innkeeper.cli.output import show, table
    from innkeeper.cli.reach import run

    rows = run(chosen, "keys list", lambda work: keys.list_all(work, workspace))
    if json:
        show(rows)
    else:
        columns = "client_key workspace compatibility name created_at last_used_at revoked_at"
        table(rows, *columns.split())


@app.command("revoke")
def keys_revoke(
    client_key: ClientKey, data: Data = None, database: Database = None, config: Config = None
) -> None:
    """End a key, at once and in every process."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import keys
    from innkeeper.cli.reach import run

    run(chosen, "keys revoke", lambda work: keys.revoke(work, client_key))
    print(f"{client_key} is revoked.")


@app.command("rotate")
def keys_rotate(
    client_key: ClientKey,
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Give a key another token; the old one ends at once."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import keys
    from innkeeper.cli.output import new_key
    from innkeeper.cli.reach import run

    new_key(run(chosen, "keys rotate", lambda work: keys.rotate(work, client_key)), json)
