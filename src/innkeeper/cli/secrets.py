"""`innkeeper secrets`: the key that encrypts what this installation must be able to read."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.store.database import Database

app = typer.Typer(help="The encryption of secrets in the database.", no_args_is_help=True)


@command(app, "rotate")
def secrets_rotate(
    here: CommandContext,
    no_new_key: Annotated[
        bool, typer.Option("--no-new-key", help="Encrypt with the newest key there is.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a new key and encrypt every stored secret with it, while the server runs.

    The key before it stays readable until the next rotation: rotate twice when it has leaked.
    """
    from innkeeper.actions.admin import stored_secrets
    from innkeeper.store import encryption

    if not no_new_key:
        encryption.add_key(here.settings)
    count = _run(here, stored_secrets.rotate)
    _report(count, "encrypted with the newest key", json)


@command(app, "reset")
def secrets_reset(
    here: CommandContext,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Make anew every secret that cannot be decrypted, because its key is lost.

    Open links and tokens end. Receivers of webhooks need new secrets: save the webhooks again
    on the page Settings, Webhooks, which shows them.
    """
    from innkeeper.actions.admin import stored_secrets

    if not yes:
        typer.confirm("Replace every secret that cannot be decrypted?", abort=True)
    count = _run(here, stored_secrets.reset)
    _report(count, "made anew", json)


def _run(here: CommandContext, act: Callable[[Database], Awaitable[int]]) -> int:
    from innkeeper.store.migrate import migrate

    async def run(dsn: str) -> int:
        await migrate(dsn)
        database = Database(dsn, pool_size=1, statement_timeout_ms=0, settings=here.settings)
        await database.open()
        try:
            return await act(database)
        finally:
            await database.close()

    with here.database() as dsn:
        return asyncio.run(run(dsn))


def _report(count: int, outcome: str, json: bool) -> None:
    from innkeeper.cli.output import show

    if json:
        show({"secrets": count})
    else:
        print(f"{count} secret{'' if count == 1 else 's'} {outcome}.")
