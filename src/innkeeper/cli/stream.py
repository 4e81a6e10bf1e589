"""`innkeeper points-of-sale`, `aliases` and `quarantine`: what events are decided by."""

from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.store.work import Work

points_of_sale = typer.Typer(
    help="Where sessions and orders come from, and when sessions end.", no_args_is_help=True
)
aliases = typer.Typer(
    help="Context ids and sites of pages that use the edge paths.", no_args_is_help=True
)
quarantine = typer.Typer(
    help="Events that could not be attached, and trying them again.", no_args_is_help=True
)

Result = TypeVar("Result")
Workspace = Annotated[str, typer.Option(help="Workspace to work in.")]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Reason = Annotated[str | None, typer.Option(help="Only those kept for this reason.")]
Timeout = Annotated[
    int | None, typer.Option(min=1, help="Minutes without an event after which a session ends.")
]
Test = Annotated[
    bool | None, typer.Option("--test/--no-test", help="Whether FORCE_CLOSE ends sessions.")
]


@command(points_of_sale, "list")
def points_list(
    here: CommandContext,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List points of sale."""
    from innkeeper.actions.admin import configuration

    rows = here.run(workspace, configuration.points_of_sale)
    _rows(rows, json, "name", "market", "brand", "language", "timeout_minutes", "test")


@command(points_of_sale, "create")
def points_create(
    here: CommandContext,
    name: Name,
    timeout: Timeout = None,
    test: Test = None,
    workspace: Workspace = "live",
) -> None:
    """Create a point of sale."""
    from innkeeper.actions.admin import configuration

    changes = {"name": name, "timeout_minutes": timeout, "test": test}
    made = here.run(
        workspace,
        lambda work: configuration.create_point_of_sale(work, changes),
    )
    print(f"{made['name']} is a point of sale; its sessions end after {_minutes(made)}.")


@command(points_of_sale, "change")
def points_change(
    here: CommandContext,
    name: Name,
    timeout: Timeout = None,
    test: Test = None,
    workspace: Workspace = "live",
) -> None:
    """Change the timeout of a point of sale, or whether it is for tests; in force at once."""
    from innkeeper.actions.admin import configuration

    changed = here.run(
        workspace,
        lambda work: configuration.change_point_of_sale(work, name, timeout, test),
    )
    ends = "FORCE_CLOSE ends them" if changed["test"] else "FORCE_CLOSE does not end them"
    print(f"{name}: sessions end after {_minutes(changed)}; {ends}.")


@command(aliases, "list")
def aliases_list(
    here: CommandContext,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List the aliases of client keys, of every workspace, and of a workspace's sites."""
    from innkeeper.actions.admin import keys
    from innkeeper.actions.events import stream_settings

    async def read(work: Work) -> list[dict[str, Any]]:
        contexts = [
            {"alias": row["alias"], "kind": "context id", "means": row["client_key"]}
            for row in await keys.list_aliases(work)
        ]
        sites = [
            {"alias": row["site"], "kind": "site", "means": row["point_of_sale"]}
            for row in await stream_settings.sites(work)
        ]
        return [*contexts, *sites]

    rows = here.run(workspace, read)
    _rows(rows, json, "alias", "kind", "means")


@command(aliases, "context")
def aliases_context(
    here: CommandContext,
    alias: Annotated[str, typer.Argument(metavar="CONTEXT_ID", show_default=False)],
    client_key: Annotated[str, typer.Argument(metavar="CLIENT_KEY", show_default=False)],
) -> None:
    """Let a context id stand for a client key."""
    from innkeeper.actions.admin import keys

    here.control(lambda work: keys.set_alias(work, alias, client_key))
    print(f"{alias} stands for {client_key}.")


@command(aliases, "site")
def aliases_site(
    here: CommandContext,
    site: Annotated[str, typer.Argument(metavar="SITE", show_default=False)],
    point_of_sale: Annotated[str, typer.Argument(metavar="POINT_OF_SALE", show_default=False)],
    workspace: Workspace = "live",
) -> None:
    """Let a site mean a point of sale."""
    from innkeeper.actions.events import stream_settings

    here.run(
        workspace,
        lambda work: stream_settings.name_site(work, site, point_of_sale),
    )
    print(f"Events of the site {site} happen at {point_of_sale}.")


@command(aliases, "delete")
def aliases_delete(
    here: CommandContext,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", show_default=False)],
    site: Annotated[bool, typer.Option("--site", help="It is a site, not a context id.")] = False,
    workspace: Workspace = "live",
) -> None:
    """Take an alias away."""
    from innkeeper.actions.admin import keys
    from innkeeper.actions.events import stream_settings

    forget = stream_settings.forget_site if site else keys.delete_alias
    here.run(workspace, lambda work: forget(work, alias))
    print(f"{alias} is no alias any more.")


@command(quarantine, "list")
def quarantine_list(
    here: CommandContext,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to show at most.")] = 50,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List what waits in quarantine, oldest first."""
    from innkeeper.actions.events import quarantine as actions
    from innkeeper.actions.paging import PageRequest

    wanted, selection = PageRequest(limit=limit), actions.Selection(reason)
    page = here.run(workspace, lambda work: actions.list_(work, wanted, selection))
    columns = ("ref", "what", "type", "reason", "detail", "received_at", "attempts")
    _rows(page.items, json, *columns)
    if not json and page.total > len(page.items):
        print(f"{page.total} wait in all.")


@command(quarantine, "replay")
def quarantine_replay(
    here: CommandContext,
    refs: Annotated[list[UUID] | None, typer.Argument(metavar="[REF]…")] = None,
    reason: Reason = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Try again what waits in quarantine: all, those of a reason, or the named ones."""
    from innkeeper.actions.events import replays
    from innkeeper.actions.events.quarantine import Selection
    from innkeeper.cli.output import show

    selection = Selection(reason, refs or None)
    done = here.run(workspace, lambda work: replays.replay(work, selection))
    if json:
        items = [
            {"ref": one.ref, "reason": one.reason, "order_ref": one.order} for one in done.items
        ]
        counts = {"attached": done.attached, "waiting": done.waiting, "reasons": done.reasons}
        show({**counts, "items": items})
        return
    print(f"{done.attached} attached, {done.waiting} still wait.")
    for why, count in sorted(done.reasons.items()):
        print(f"  {count}: {why}")


def _rows(rows: list[dict[str, Any]], json: bool, *columns: str) -> None:
    from innkeeper.cli.output import show, table

    if json:
        show(rows)
    else:
        table(rows, *columns)


def _minutes(point: dict[str, Any]) -> str:
    minutes = point["timeout_minutes"]
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
