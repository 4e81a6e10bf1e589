"""`innkeeper identity`: identity rules, merges and their undo, guards."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.errors import OperatorError
from innkeeper.store.work import Work

app = typer.Typer(help="Identity rules, merges and their undo.", no_args_is_help=True)
rules = typer.Typer(help="Identity rules, in order of evaluation.", no_args_is_help=True)
app.add_typer(rules, name="rules")

Workspace = Annotated[str, typer.Option(help="Workspace of the guests.")]
RuleFile = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        help='JSON file of the rules to try: [{"identityRule": …, "providers": […], '
        '"fields": […]}]; by default the rules in force.',
    ),
]
Guest = Annotated[UUID, typer.Argument(metavar="GUEST_REF", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
_LISTED = ("ref", "survivor_ref", "absorbed_ref", "rule", "source", "actor", "merged_at")


@command(rules, "list")
def rules_list(
    context: CommandContext,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List the rules in order of evaluation."""
    from innkeeper.actions.identity import rule_settings

    rows = context.run(workspace, rule_settings.list_rules)
    _show_rules(rows, json)


@command(rules, "add")
def rules_add(
    context: CommandContext,
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
    """Add a rule at the end; all of its providers and fields must match."""
    from innkeeper.actions.identity import rule_settings
    from innkeeper.wire.identity.rules import read_rule

    rule = read_rule(name, provider or (), field or ())
    context.run(workspace, lambda work: rule_settings.add_rule(work, rule))
    print(f"{rule.name} is in force; `innkeeper identity apply` merges existing guests by it.")


@command(rules, "reorder")
def rules_reorder(
    context: CommandContext,
    names: Annotated[list[str], typer.Argument(metavar="NAME…", show_default=False)],
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Change the order of the rules; name all of them."""
    from innkeeper.actions.identity import rule_settings

    rows = context.run(
        workspace,
        lambda work: rule_settings.reorder_rules(work, names),
    )
    _show_rules(rows, json)


@command(rules, "delete")
def rules_delete(
    context: CommandContext,
    name: Name,
    workspace: Workspace = "live",
) -> None:
    """Delete a rule; the merges that it made remain until they are undone."""
    from innkeeper.actions.identity import rule_settings

    context.run(workspace, lambda work: rule_settings.delete_rule(work, name))
    print(f"{name} is deleted.")


@command(app, "preview")
def preview(
    context: CommandContext,
    rules: RuleFile = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Show how many existing guests rules would merge, with examples; change nothing."""
    from innkeeper.actions.identity import rule_changes
    from innkeeper.cli.output import show, table

    proposed = _read(rules)
    report = context.run(workspace, lambda work: rule_changes.preview(work, proposed))
    if json:
        show(report)
        return
    print(
        f"{report['merging']} of {report['guests']} guests would be merged into others, "
        f"in {report['groups']} groups; guards would block {len(report['guarded'])} more."
    )
    rows = [
        {
            "survivor": group["survivor"],
            "size": group["size"],
            "absorbed": one["guest"],
            "rule": one["rule"],
            "by": [f"{part.get('provider') or part['field']}={part['value']}" for part in evidence],
        }
        for group in [*report["largest"], *report["samples"]]
        for one in group["absorbed"]
        for evidence in [one["evidence"]]
    ]
    table(rows, "survivor", "size", "absorbed", "rule", "by")


@command(app, "apply")
def apply(
    context: CommandContext,
    rules: RuleFile = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Put rules in force and merge existing guests; a running server continues if interrupted."""
    from innkeeper.actions.identity import rule_settings

    proposed = _read(rules)

    async def act(work: Work) -> dict[str, Any]:
        return await _run(work, await rule_settings.apply_rules(work, proposed), json)

    job = context.run(workspace, act)
    _print_job(job, f"{job['merged']} guests were merged into others.", json)


@command(app, "jobs")
def jobs(
    context: CommandContext,
    limit: Annotated[int, typer.Option(help="Maximum number of entries.", min=1, max=10000)] = 50,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List rule changes and their undos, newest first."""
    from innkeeper.actions.identity import rule_settings
    from innkeeper.actions.paging import PageRequest
    from innkeeper.cli.output import print_rows

    page = context.run(
        workspace, lambda work: rule_settings.list_jobs(work, PageRequest(limit=limit))
    )
    print_rows(
        *(page.items, json, "ref", "created_at", "actor", "state", "done", "total", "merged"),
        *("undoable", "undoes"),
    )


@command(app, "undo")
def undo(
    context: CommandContext,
    job: Annotated[UUID, typer.Argument(metavar="JOB_REF", show_default=False)],
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what the undo would do; change nothing.")
    ] = False,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Undo an application of rules as a whole: all of its merges, and its change of rules."""
    from innkeeper.actions.identity import rule_undo
    from innkeeper.cli.output import show, table

    if is_dry_run:
        described = context.run(workspace, lambda work: rule_undo.describe(work, job))
        if json:
            show(described)
            return
        print(described["blocked"] or f"{described['merges']} merges would be undone.")
        print(f"Rules: {described['rules']}.")
        table(described["examples"], *_LISTED)
        return

    async def act(work: Work) -> dict[str, Any]:
        return await _run(work, await rule_undo.request(work, job), json)

    done = context.run(workspace, act)
    _print_job(done, f"{done['total']} merges were undone.", json)


@command(app, "why")
def why(
    context: CommandContext,
    guest: Guest,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Explain a guest: list the merges in force and the records that matched it."""
    from innkeeper.actions.identity import merges
    from innkeeper.cli.output import show, table

    explanation = context.run(workspace, lambda work: merges.explain(work, guest))
    if json:
        show(explanation)
        return
    print(f"{len(explanation['guests']) - 1} other guests are merged into {guest}.")
    table(explanation["merges"], *_LISTED, "evidence")
    print()
    table(
        explanation["joined"],
        *("guest_ref", "rule", "evidence", "source", "source_ref", "actor", "joined_at"),
    )


@command(app, "history")
def history(
    context: CommandContext,
    guest: Guest,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List every merge and undo of a guest."""
    from innkeeper.actions.identity import merges
    from innkeeper.cli.output import show, table

    events = context.run(workspace, lambda work: merges.history(work, guest))
    if json:
        show(events)
        return
    rows = [{**event["merge"], **event, "merge": event["merge"]["ref"]} for event in events]
    table(rows, "at", "event", "by", "merge", "survivor_ref", "absorbed_ref", "rule", "source")


@command(app, "merge")
def merge(
    context: CommandContext,
    survivor: Annotated[UUID, typer.Argument(metavar="SURVIVOR_REF", show_default=False)],
    absorbed: Annotated[UUID, typer.Argument(metavar="ABSORBED_REF", show_default=False)],
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Merge a guest into another; `unmerge` reverts it exactly."""
    from innkeeper.actions.identity import merges
    from innkeeper.cli.output import print_rows

    row = context.run(workspace, lambda work: merges.create(work, survivor, absorbed))
    print_rows(row, json, *_LISTED)


@command(app, "unmerge")
def unmerge(
    context: CommandContext,
    merge: Annotated[UUID, typer.Argument(metavar="MERGE_REF", show_default=False)],
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Undo a merge: both guests become what they would be without it."""
    from innkeeper.actions.identity import merges
    from innkeeper.cli.output import print_rows

    row = context.run(workspace, lambda work: merges.undo(work, merge))
    print_rows(row, json, *_LISTED, "undone_at", "undone_by")


@command(app, "guarded")
def guarded(
    context: CommandContext,
    limit: Annotated[int, typer.Option(help="Maximum number of entries.", min=1, max=10000)] = 50,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List matches that guards blocked, newest first, each with its reason."""
    from innkeeper.actions.identity import rule_settings
    from innkeeper.actions.paging import PageRequest
    from innkeeper.cli.output import print_rows

    page = context.run(
        workspace,
        lambda work: rule_settings.list_guarded(work, PageRequest(limit=limit)),
    )
    print_rows(
        page.items, json, "guarded_at", "reason", "rule", "evidence", "guests", "source", "actor"
    )


@command(app, "guards")
def guards(
    context: CommandContext,
    group_limit: Annotated[
        int | None,
        typer.Option(help="Maximum number of guests that share a value or form a group.", min=1),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="Country of national phone numbers, e.g. IE.")
    ] = None,
    never: Annotated[
        list[str] | None,
        typer.Option(help="Value that never identifies; repeatable, replaces the list."),
    ] = None,
    add_never: Annotated[
        list[str] | None,
        typer.Option(help="Value to add to the list of those that never identify; repeatable."),
    ] = None,
    remove_never: Annotated[
        list[str] | None,
        typer.Option(help="Value to remove from that list; repeatable."),
    ] = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Show the settings of the guards, and change those that are named."""
    from innkeeper.actions.identity import rule_settings
    from innkeeper.cli.output import print_rows
    from innkeeper.wire.identity.rules import read_guards

    body = {
        "groupLimit": group_limit,
        "region": region,
        "never": never or None,
        "addNever": add_never or None,
        "removeNever": remove_never or None,
    }
    changes = read_guards({name: value for name, value in body.items() if value is not None})

    async def act(work: Work) -> dict[str, Any]:
        return await (
            rule_settings.set_guards(work, changes) if changes else rule_settings.fetch_guards(work)
        )

    row = context.run(workspace, act)
    print_rows(row, json, "group_limit", "region", "never")


def _read(file: Path | None) -> Any:
    """Read rules from a JSON file in the format of the API; raises OperatorError."""
    if file is None:
        return None
    import msgspec

    from innkeeper.wire.identity.rules import read_rules

    try:
        payload = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise OperatorError(f"{file} cannot be read ({error.strerror}).") from error
    except msgspec.DecodeError as error:
        raise OperatorError(f"{file} is not JSON: {error}.") from error
    return read_rules(payload if isinstance(payload, dict) else {"rules": payload})


def _show_rules(stored_rules: Any, json: bool) -> None:
    import msgspec

    from innkeeper.cli.output import show, table
    from innkeeper.wire.identity.rules import represent_rule

    payload = [msgspec.to_builtins(represent_rule(rule)) for rule in stored_rules]
    if json:
        show(payload)
    else:
        rows = [{"name": rule["identityRule"], "fields": [], **rule} for rule in payload]
        table(rows, "name", "providers", "fields")


async def _run(work: Work, job: dict[str, Any], json: bool) -> dict[str, Any]:
    """Run a job, or show the progress of a server that runs it; return the finished job."""
    from innkeeper.actions.identity import rule_changes, rule_settings

    with _bar(json) as progress:
        while not await rule_changes.run_jobs(work, progress):
            progress(await rule_settings.fetch_job(work, job["ref"]))
            await _pause()
    return await rule_settings.fetch_job(work, job["ref"])


def _print_job(job: dict[str, Any], text: str, json: bool) -> None:
    from innkeeper.cli.output import show

    if json:
        show(job)
    elif job["state"] == "failed":
        raise OperatorError(f"The rule change failed: {job['error']}")
    else:
        print(text)


async def _pause() -> None:
    import asyncio

    await asyncio.sleep(0.5)


def _bar(json: bool) -> Any:
    from innkeeper.cli.output import progress_bar

    return progress_bar(silent=json)
