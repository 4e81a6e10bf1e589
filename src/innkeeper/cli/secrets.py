"""`innkeeper secrets`: the key that encrypts stored secrets."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from innkeeper.actions.admin import stored_secrets
from innkeeper.cli.options import CommandContext, Json, Yes, command
from innkeeper.cli.output import show
from innkeeper.store import encryption
from innkeeper.store.database import Database
from innkeeper.store.migrate import migrate

app = typer.Typer()


@command(app, "rotate")
def secrets_rotate(
    context: CommandContext,
    no_new_key: Annotated[
        bool, typer.Option("--no-new-key", help="Encrypt with the newest existing key.")
    ] = False,
    json: Json = False,
) -> None:
    """Create a new key and encrypt every stored secret with it, while the server runs.

    The previous key remains valid until the next rotation: if it has leaked, rotate twice.
    """
    if not no_new_key:
        encryption.add_key(context.settings)
    count = _run(context, stored_secrets.rotate)
    _report(count, "encrypted with the newest key", json)


@command(app, "reset")
def secrets_reset(context: CommandContext, yes: Yes = False, json: Json = False) -> None:
    """Replace every secret that cannot be decrypted because its key is lost.

    Signed links and tokens stop working. Receivers of webhooks need new secrets: save the
    webhooks again on the page Settings, Webhooks, which shows them.
    """
    if not yes:
        typer.confirm("Replace every secret that cannot be decrypted?", abort=True)
    count = _run(context, stored_secrets.reset)
    _report(count, "replaced", json)


def _run(context: CommandContext, act: Callable[[Database], Awaitable[int]]) -> int:
    async def run(dsn: str) -> int:
        await migrate(dsn)
        async with Database(
            dsn, pool_size=1, statement_timeout_ms=0, settings=context.settings
        ) as database:
            return await act(database)

    with context.database() as dsn:
        return asyncio.run(run(dsn))


def _report(count: int, outcome: str, json: bool) -> None:
    if json:
        show({"secrets": count})
    else:
        print(f"{count} secret{'' if count == 1 else 's'} {outcome}.")
