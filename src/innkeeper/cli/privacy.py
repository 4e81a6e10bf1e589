"""`innkeeper privacy`: erase guests, export all data on a guest, manage the block list."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from innkeeper.actions.privacy import block_list, erasure, privacy
from innkeeper.cli.options import Act, CommandContext, GuestRef, Json, Workspace, Yes, command
from innkeeper.cli.output import show, table
from innkeeper.errors import OperatorError
from innkeeper.resources.naming import camel
from innkeeper.resources.values import plain
from innkeeper.store import scrub as scrubbing
from innkeeper.store.work import Work
from innkeeper.wire.json_text import encode
from innkeeper.wire.payloads import decode_strictly
from innkeeper.wire.privacy.privacy import PersonRequest, represent_receipt
from innkeeper.wire.privacy.subject import held_on
from innkeeper.wire.privacy.subject_page import page

app = typer.Typer()
Identifier = Annotated[
    list[str] | None,
    typer.Option(help="Identifier as PROVIDER:ID; repeatable.", metavar="PROVIDER:ID"),
]
Email = Annotated[str | None, typer.Option(help="E-mail address.")]


@command(app, "erase")
def erase(
    context: CommandContext,
    guest: GuestRef,
    keep_orders: Annotated[
        bool, typer.Option("--keep-orders", help="Keep orders and their items.")
    ] = False,
    suppress: Annotated[
        bool, typer.Option("--suppress", help="Put the identifiers on the block list as well.")
    ] = False,
    yes: Yes = False,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Erase a guest permanently, from stored files too, and print the receipt."""
    from innkeeper.jobs.privacy import search_files

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Erase guest {guest} permanently?", abort=True)
    mode = erasure.DELETE if keep_orders else erasure.GDPR_DELETE

    async def act(work: Work) -> dict[str, Any]:
        receipt = await privacy.erase(work, guest, mode, suppress=suppress)
        return {**represent_receipt(receipt), "files": await search_files(work)}

    _show(context.run(workspace, act), json)


@command(app, "access")
def access(
    context: CommandContext,
    guest: GuestRef,
    out: Annotated[
        Path | None, typer.Option(help="File for the JSON; without it, printed.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="File for an HTML page as well.")] = None,
    workspace: Workspace = "live",
) -> None:
    """Write all data on a guest and on guests merged into it, as JSON and as an HTML page."""
    subject = context.run(workspace, lambda work: held_on(work, guest))
    text = msgspec.json.format(encode(plain(subject, camel)), indent=2)
    if html is not None:
        html.write_text(page(subject), encoding="utf-8")
    if out is None:
        sys.stdout.buffer.write(text + b"\n")
    else:
        out.write_bytes(text + b"\n")


def _print_counts(row: dict[str, Any]) -> None:
    _show(row, json=False)


@command(app, "suppress", text=_print_counts)
def suppress_(
    identifier: Identifier = None,
    email: Email = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "requested",
) -> Act[dict[str, Any]]:
    """Block identifiers: records and events that contain them are rejected and counted."""
    person = _person(identifier, email)

    async def act(work: Work) -> dict[str, Any]:
        return {"added": await block_list.suppress_person(work, person, reason)}

    return act


@command(app, "release", text=_print_counts)
def release(identifier: Identifier = None, email: Email = None) -> Act[dict[str, Any]]:
    """Remove identifiers from the block list."""
    person = _person(identifier, email)

    async def act(work: Work) -> dict[str, Any]:
        return {"removed": await block_list.release_person(work, person)}

    return act


@command(app, "scrub")
def scrub(context: CommandContext, yes: Yes = False, json: Json = False) -> None:
    """Remove the remaining bytes of deleted rows from the database's files.

    Every table is rewritten, and locked meanwhile.
    """
    from innkeeper.store.embedded_roles import administrator

    if not yes and sys.stdin.isatty():
        typer.confirm("Rewrite every table? Each is locked meanwhile.", abort=True)

    def report(step: str) -> None:
        if sys.stderr.isatty():
            print(f"innkeeper: {step}", file=sys.stderr)

    with context.database() as dsn:
        embedded = not context.settings.database
        done = asyncio.run(scrubbing.scrub(administrator(dsn) if embedded else dsn, report))
        if embedded:
            scrubbing.clear_server_log(context.settings.data)
    _show(done, json)


def _person(identifiers: list[str] | None, email: str | None) -> dict[str, Any]:
    pairs = []
    for text in identifiers or ():
        provider, colon, value = text.partition(":")
        if not (provider and colon and value):
            raise OperatorError(f"{text} is not an identifier: write PROVIDER:ID.")
        pairs.append({"provider": provider, "id": value})
    if not pairs and email is None:
        raise OperatorError("Name an identifier (--identifier) or an e-mail address (--email).")

    request: PersonRequest = decode_strictly(PersonRequest, {"identifiers": pairs, "email": email})
    return request.person()


def _show(row: dict[str, Any], json: bool) -> None:
    if json:
        show(row)
    else:
        plain = {
            name: ", ".join(f"{key} {count}" for key, count in value.items())
            if isinstance(value, dict)
            else value
            for name, value in row.items()
        }
        table([plain], *plain)
