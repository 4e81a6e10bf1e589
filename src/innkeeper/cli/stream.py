"""`innkeeper points-of-sale`, `aliases` and `quarantine`: configuration of events, and invalid
events."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from innkeeper.actions.admin import configuration, keys
from innkeeper.actions.events import quarantine as actions
from innkeeper.actions.events import replays, stream_settings
from innkeeper.actions.events.quarantine import Selection
from innkeeper.actions.paging import PageRequest
from innkeeper.cli.options import Act, CommandContext, Json, Name, Workspace, command
from innkeeper.cli.output import print_rows
from innkeeper.store.work import Work
from innkeeper.wire.json_text import decode_object

points_of_sale = typer.Typer()
aliases = typer.Typer()
quarantine = typer.Typer()

Text = Annotated[str | None, typer.Option(help="New text; empty clears it.", show_default=False)]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason.")]
Timeout = Annotated[
    int | None, typer.Option(min=1, help="Minutes without an event after which a session ends.")
]
Test = Annotated[
    bool | None, typer.Option("--test/--no-test", help="Whether FORCE_CLOSE ends sessions.")
]


@command(points_of_sale, "list", columns="name market brand language timeout_minutes test")
async def points_list(work: Work) -> Any:
    """List points of sale."""
    return await configuration.points_of_sale(work)


@command(points_of_sale, "create")
async def points_create(
    work: Work,
    name: Name,
    timeout: Timeout = None,  # noqa: ASYNC109 - of sessions
    test: Test = None,
) -> str:
    """Create a point of sale."""
    changes = {"name": name, "timeout_minutes": timeout, "test": test}
    point = await configuration.create_point_of_sale(work, changes)
    return f"{point['name']} is a point of sale; its sessions end after {_minutes(point)}."


@command(points_of_sale, "change")
async def points_change(
    work: Work,
    name: Name,
    timeout: Timeout = None,  # noqa: ASYNC109 - of sessions
    test: Test = None,
    market: Text = None,
    brand: Text = None,
    language: Text = None,
) -> str:
    """Change a point of sale; effective at once."""
    options = {"market": market, "brand": brand, "language": language}
    texts = {each: text for each, text in options.items() if text is not None}
    point = await configuration.change_point_of_sale(work, name, timeout, test, texts)
    ends = "FORCE_CLOSE ends them" if point["test"] else "FORCE_CLOSE does not end them"
    return f"{name}: sessions end after {_minutes(point)}; {ends}."


@command(aliases, "list", columns="alias kind means")
async def aliases_list(work: Work) -> list[dict[str, Any]]:
    """List the context ids of all client keys, and the sites of a workspace."""
    contexts = [
        {"alias": row["alias"], "kind": "context id", "means": row["client_key"]}
        for row in await keys.list_aliases(work)
    ]
    sites = [
        {"alias": row["site"], "kind": "site", "means": row["point_of_sale"]}
        for row in await stream_settings.list_site_aliases(work)
    ]
    return [*contexts, *sites]


@command(aliases, "context", control=True)
async def aliases_context(
    work: Work,
    alias: Annotated[str, typer.Argument(metavar="CONTEXT_ID", show_default=False)],
    client_key: Annotated[str, typer.Argument(metavar="CLIENT_KEY", show_default=False)],
) -> str:
    """Make a context id, or the client key of another system, an alias of a client key."""
    await keys.set_alias(work, alias, client_key)
    return f"{alias} is an alias of {client_key}."


@command(aliases, "site")
async def aliases_site(
    work: Work,
    site: Annotated[str, typer.Argument(metavar="SITE", show_default=False)],
    point_of_sale: Annotated[str, typer.Argument(metavar="POINT_OF_SALE", show_default=False)],
) -> str:
    """Make a site an alias of a point of sale."""
    await stream_settings.set_site_alias(work, site, point_of_sale)
    return f"Events of the site {site} get the point of sale {point_of_sale}."


@command(aliases, "delete")
async def aliases_delete(
    work: Work,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", show_default=False)],
    site: Annotated[
        bool, typer.Option("--site", help="The alias is a site, not a context id.")
    ] = False,
) -> str:
    """Delete an alias."""
    await (stream_settings.delete_site_alias if site else keys.delete_alias)(work, alias)
    return f"The alias {alias} is deleted."


@command(quarantine, "list")
def quarantine_list(
    context: CommandContext,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of entries.")] = 50,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List events and orders in quarantine, oldest first."""
    request, selection = PageRequest(limit=limit), actions.Selection(reason)
    page = context.run(workspace, lambda work: actions.list_(work, request, selection))
    columns = ("ref", "what", "type", "reason", "detail", "received_at", "attempts")
    print_rows(page.items, json, *columns)
    if not json and page.total > len(page.items):
        print(f"{page.total} in quarantine in all.")


@command(quarantine, "correct")
def quarantine_correct(
    ref: Annotated[UUID, typer.Argument(metavar="REF")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON file with the whole corrected message.")
    ],
) -> Act[str]:
    """Replace the message of an event in quarantine; replay it afterwards."""
    message = decode_object(file.read_bytes())

    async def act(work: Work) -> str:
        await actions.correct(work, ref, message)
        return f"Event {ref} was corrected. Replay it: innkeeper quarantine replay {ref}"

    return act


def _print_replay(done: dict[str, Any]) -> None:
    print(f"{done['attached']} attached, {done['waiting']} still in quarantine.")
    for why, count in sorted(done["reasons"].items()):
        print(f"  {count}: {why}")


@command(quarantine, "replay", text=_print_replay)
async def quarantine_replay(
    work: Work,
    refs: Annotated[list[UUID] | None, typer.Argument(metavar="[REF]…")] = None,
    reason: Reason = None,
) -> dict[str, Any]:
    """Try to attach quarantined events again: all, those with a reason, or the named ones."""
    return asdict(await replays.replay(work, Selection(reason, refs or None)))


def _minutes(point: dict[str, Any]) -> str:
    minutes = point["timeout_minutes"]
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
