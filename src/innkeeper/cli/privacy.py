"""`innkeeper privacy`: erase a person, show what is held, keep identifiers from coming back."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.errors import OperatorError

if TYPE_CHECKING:
    from innkeeper.store.work import Work

app = typer.Typer(help="Erasure, subject access, the block list.", no_args_is_help=True)

Guest = Annotated[UUID, typer.Argument(metavar="GUEST_REF", show_default=False)]
Workspace = Annotated[str, typer.Option(help="Workspace to work in.")]
Identifier = Annotated[
    list[str] | None,
    typer.Option(help="Identifier as PROVIDER:ID; repeatable.", metavar="PROVIDER:ID"),
]
Email = Annotated[str | None, typer.Option(help="E-mail address.")]


@command(app, "erase")
def erase(
    here: CommandContext,
    guest: Guest,
    keep_orders: Annotated[
        bool, typer.Option("--keep-orders", help="Leave orders and their items.")
    ] = False,
    suppress: Annotated[
        bool, typer.Option("--suppress", help="Keep the identifiers from coming back as well.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Erase a guest for good, from files at rest too; prints the receipt."""
    from innkeeper.actions.privacy import erasure, privacy
    from innkeeper.jobs.privacy import search_files
    from innkeeper.wire.privacy.privacy import represent_receipt

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Erase guest {guest} for good?", abort=True)
    mode = erasure.DELETE if keep_orders else erasure.GDPR_DELETE

    async def act(work: "Work") -> dict[str, Any]:
        receipt = await privacy.erase(work, guest, mode, suppress=suppress)
        return {**represent_receipt(receipt), "files": await search_files(work)}

    _show(here.run(workspace, act), json)


@command(app, "access")
def access(
    here: CommandContext,
    guest: Guest,
    out: Annotated[Path | None, typer.Option(help="File for the JSON; printed without.")] = None,
    html: Annotated[Path | None, typer.Option(help="File for a page to read as well.")] = None,
    workspace: Workspace = "live",
) -> None:
    """Write all that is held on a guest, and on those merged into it, as JSON and as a page."""
    import msgspec

    from innkeeper.wire.json_text import encode
    from innkeeper.wire.privacy.subject import held_on
    from innkeeper.wire.privacy.subject_page import page, plain

    held = here.run(workspace, lambda work: held_on(work, guest))
    text = msgspec.json.format(encode(plain(held)), indent=2)
    if html is not None:
        html.write_text(page(held), encoding="utf-8")
    if out is None:
        sys.stdout.buffer.write(text + b"\n")
    else:
        out.write_bytes(text + b"\n")


@command(app, "suppress")
def suppress_(
    here: CommandContext,
    identifier: Identifier = None,
    email: Email = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "asked for",
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Keep identifiers from coming back: records and events of theirs are refused and counted."""
    from innkeeper.actions.privacy import block_list

    person = _person(identifier, email)

    async def act(work: "Work") -> dict[str, Any]:
        return {"added": await block_list.suppress_person(work, person, reason)}

    _show(here.run(workspace, act), json)


@command(app, "release")
def release(
    here: CommandContext,
    identifier: Identifier = None,
    email: Email = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Let identifiers come back."""
    from innkeeper.actions.privacy import block_list

    person = _person(identifier, email)

    async def act(work: "Work") -> dict[str, Any]:
        return {"removed": await block_list.release_person(work, person)}

    _show(here.run(workspace, act), json)


@command(app, "scrub")
def scrub(
    here: CommandContext,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove the last bytes of what was deleted from the database's files.

    Every table is written again, and locked while it is.
    """
    from innkeeper.store import scrub as scrubbing
    from innkeeper.store.embedded_roles import administrator

    if not yes and sys.stdin.isatty():
        typer.confirm("Write every table again, each locked for a while?", abort=True)

    def told(what: str) -> None:
        if sys.stderr.isatty():
            print(f"innkeeper: {what}", file=sys.stderr)

    with here.database() as dsn:
        embedded = not here.settings.database
        done = asyncio.run(scrubbing.scrub(administrator(dsn) if embedded else dsn, told))
        if embedded:
            scrubbing.clear_server_log(here.settings.data)
    _show(done, json)


def _person(identifiers: list[str] | None, email: str | None) -> dict[str, Any]:
    pairs = []
    for told in identifiers or ():
        provider, colon, value = told.partition(":")
        if not (provider and colon and value):
            raise OperatorError(f"{told} is no identifier: say PROVIDER:ID.")
        pairs.append({"provider": provider, "id": value})
    if not pairs and email is None:
        raise OperatorError("Name an identifier (--identifier) or an e-mail address (--email).")
    return {"identifiers": pairs} | ({} if email is None else {"email": email})


def _show(told: dict[str, Any], json: bool) -> None:
    from innkeeper.cli.output import show, table

    if json:
        show(told)
    else:
        plain = {
            name: ", ".join(f"{key} {many}" for key, many in value.items())
            if isinstance(value, dict)
            else value
            for name, value in told.items()
        }
        table([plain], *plain)
