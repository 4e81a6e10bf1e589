"""`innkeeper identity`: who is who, by which rules, why, and how to take a merge back."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.errors import OperatorError
from innkeeper.store.work import Work

app = typer.Typer(help="Identity rules, merges and their undo.", no_args_is_help=True)
rules = typer.Typer(help="Identity rules, in the order they are tried.", no_args_is_help=True)
app.add_typer(rules, name="rules")

Workspace = Annotated[str, typer.Option(help="Workspace to look at.")]
RuleFile = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        help='JSON file of the rules to try: [{"identityRule": …, "providers": […], '
        '"fields": […]}]; the rules in force without it.',
    ),
]
Guest = Annotated[UUID, typer.Argument(metavar="GUEST_REF", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
_LISTED = ("ref", "survivor_ref", "absorbed_ref", "rule", "source", "actor", "merged_at")


@command(rules, "list")
def rules_list(
    here: CommandContext,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List the rules in the order they are tried."""
    from innkeeper.actions.identity import rule_settings

    found = here.run(workspace, rule_settings.list_rules)
    _show_rules(found, json)


@command(rules, "add")
def rules_add(
    here: CommandContext,
    name: Name,
    provider: Annotated[
        list[str] | None, typer.Option(help="Identifier provider that must match; repeatable.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(help="Guest field that must match, e.g. lastName; repeatable."),
    ] = None,
    workspace: Workspace = "live",
) -> None:
    """Add a rule, tried last; every provider and field it names must match."""
    from innkeeper.actions.identity import rule_settings
    from innkeeper.wire.identity.identity import read_rule

    rule = read_rule({"identityRule": name, "providers": provider or [], "fields": field or []})
    here.run(workspace, lambda work: rule_settings.add_rule(work, rule))
    print(f"{rule.name} is in force; `innkeeper identity apply` merges existing guests by it.")


@command(rules, "reorder")
def rules_reorder(
    here: CommandContext,
    names: Annotated[list[str], typer.Argument(metavar="NAME…", show_default=False)],
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Put the rules in another order: name every one."""
    from innkeeper.actions.identity import rule_settings

    found = here.run(
        workspace,
        lambda work: rule_settings.reorder_rules(work, names),
    )
    _show_rules(found, json)


@command(rules, "delete")
def rules_delete(
    here: CommandContext,
    name: Name,
    workspace: Workspace = "live",
) -> None:
    """Delete a rule; merges that it made stand until they are undone."""
    from innkeeper.actions.identity import rule_settings

    here.run(workspace, lambda work: rule_settings.delete_rule(work, name))
    print(f"{name} is deleted.")


@command(app, "preview")
def preview(
    here: CommandContext,
    rules: RuleFile = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Tell how many existing guests rules would merge, and which; change nothing."""
    from innkeeper.actions.identity import rule_changes
    from innkeeper.cli.output import show, table

    wanted = _read(rules)
    told = here.run(workspace, lambda work: rule_changes.preview(work, wanted))
    if json:
        show(told)
        return
    print(
        f"Of {told['guests']} guests {told['merging']} would be merged into others, "
        f"in {told['groups']} groups; {len(told['guarded'])} more stopped by a guard."
    )
    shown = [
        {
            "survivor": group["survivor"],
            "size": group["size"],
            "absorbed": one["guest"],
            "rule": one["rule"],
            "by": [f"{part.get('provider') or part['field']}={part['value']}" for part in evidence],
        }
        for group in [*told["largest"], *told["samples"]]
        for one in group["absorbed"]
        for evidence in [one["evidence"]]
    ]
    table(shown, "survivor", "size", "absorbed", "rule", "by")


@command(app, "apply")
def apply(
    here: CommandContext,
    rules: RuleFile = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Put rules in force and merge existing guests by them; cut off, it goes on by itself."""
    from innkeeper.actions.identity import rule_changes, rule_settings
    from innkeeper.cli.output import show

    wanted = _read(rules)

    async def act(work: Work) -> dict[str, Any]:
        job = await rule_settings.apply_rules(work, wanted)
        with _bar(json) as told:
            while not await rule_changes.run_jobs(work, told):
                # The server is at it: look on.
                told(await rule_settings.fetch_job(work, job["ref"]))
                await _pause()
        return await rule_settings.fetch_job(work, job["ref"])

    job = here.run(workspace, act)
    if json:
        show(job)
    elif job["state"] == "failed":
        raise OperatorError(f"The rule change failed: {job['error']}")
    else:
        print(f"{job['merged']} guests were merged into others.")


@command(app, "why")
def why(
    here: CommandContext,
    guest: Guest,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Explain a guest: every merge in force and every record that joined it."""
    from innkeeper.actions.identity import merges
    from innkeeper.cli.output import show, table

    told = here.run(workspace, lambda work: merges.explain(work, guest))
    if json:
        show(told)
        return
    print(f"{guest} stands for {len(told['guests']) - 1} other guests.")
    table(told["merges"], *_LISTED, "evidence")
    print()
    table(
        told["joined"],
        *("guest_ref", "rule", "evidence", "source", "source_ref", "actor", "joined_at"),
    )


@command(app, "history")
def history(
    here: CommandContext,
    guest: Guest,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List every merge and undo that touched a guest."""
    from innkeeper.actions.identity import merges
    from innkeeper.cli.output import show, table

    told = here.run(workspace, lambda work: merges.history(work, guest))
    if json:
        show(told)
        return
    rows = [{**event["merge"], **event, "merge": event["merge"]["ref"]} for event in told]
    table(rows, "at", "event", "by", "merge", "survivor_ref", "absorbed_ref", "rule", "source")


@command(app, "merge")
def merge(
    here: CommandContext,
    survivor: Annotated[UUID, typer.Argument(metavar="SURVIVOR_REF", show_default=False)],
    absorbed: Annotated[UUID, typer.Argument(metavar="ABSORBED_REF", show_default=False)],
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Merge a guest into another; `unmerge` takes it back exactly."""
    from innkeeper.actions.identity import merges
    from innkeeper.cli.output import show, table

    row = here.run(workspace, lambda work: merges.create(work, survivor, absorbed))
    if json:
        show(row)
    else:
        table([row], *_LISTED)


@command(app, "unmerge")
def unmerge(
    here: CommandContext,
    merge: Annotated[UUID, typer.Argument(metavar="MERGE_REF", show_default=False)],
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Undo a merge: both guests are what they would be had it never been."""
    from innkeeper.actions.identity import merges
    from innkeeper.cli.output import show, table

    row = here.run(workspace, lambda work: merges.undo(work, merge))
    if json:
        show(row)
    else:
        table([row], *_LISTED, "undone_at", "undone_by")


@command(app, "guarded")
def guarded(
    here: CommandContext,
    limit: Annotated[int, typer.Option(help="Most entries to list.", min=1, max=10000)] = 50,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List what guards kept from identifying, newest first, each with its reason."""
    from innkeeper.actions.identity import rule_settings
    from innkeeper.actions.paging import PageRequest
    from innkeeper.cli.output import show, table

    page = here.run(
        workspace,
        lambda work: rule_settings.list_guarded(work, PageRequest(limit=limit)),
    )
    if json:
        show(page.items)
    else:
        table(page.items, "guarded_at", "reason", "rule", "evidence", "guests", "source", "actor")


@command(app, "guards")
def guards(
    here: CommandContext,
    group_limit: Annotated[
        int | None, typer.Option(help="Most guests that may share a value or be one group.", min=1)
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="Country of national phone numbers, e.g. IE.")
    ] = None,
    never: Annotated[
        list[str] | None,
        typer.Option(help="Value that never identifies; repeat for the whole list."),
    ] = None,
    add_never: Annotated[
        list[str] | None,
        typer.Option(help="Value to add to those that never identify; repeat for several."),
    ] = None,
    remove_never: Annotated[
        list[str] | None,
        typer.Option(help="Value to take off that list; repeat for several."),
    ] = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Show what guards go by, after changing what is given."""
    from innkeeper.actions.identity import rule_settings
    from innkeeper.cli.output import show, table

    given = {
        "group_limit": group_limit,
        "region": region,
        "never": never or None,
        "add_never": add_never or None,
        "remove_never": remove_never or None,
    }
    changes = {name: value for name, value in given.items() if value is not None}

    async def act(work: Work) -> dict[str, Any]:
        return await (
            rule_settings.set_guards(work, changes) if changes else rule_settings.fetch_guards(work)
        )

    told = here.run(workspace, act)
    if json:
        show(told)
    else:
        table([told], "group_limit", "region", "never")


def _read(file: Path | None) -> Any:
    """The rules of a JSON file, spelt as the API spells them."""
    if file is None:
        return None
    import msgspec

    from innkeeper.wire.identity.identity import read_rules

    try:
        sent = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise OperatorError(f"{file} cannot be read ({error.strerror}).") from error
    except msgspec.DecodeError as error:
        raise OperatorError(f"{file} is not JSON: {error}.") from error
    return read_rules(sent if isinstance(sent, dict) else {"rules": sent})


def _show_rules(found: Any, json: bool) -> None:
    from innkeeper.cli.output import show, table
    from innkeeper.wire.identity.identity import represent_rule

    shown = [represent_rule(rule) for rule in found]
    if json:
        show(shown)
    else:
        rows = [{"name": rule["identityRule"], "fields": [], **rule} for rule in shown]
        table(rows, "name", "providers", "fields")


async def _pause() -> None:
    import asyncio

    await asyncio.sleep(0.5)


def _bar(json: bool) -> Any:
    from innkeeper.cli.output import progress_bar

    return progress_bar(silent=json)
