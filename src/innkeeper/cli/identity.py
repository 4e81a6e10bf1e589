"""`innkeeper identity`: identity rules, merges and their undo, guards."""

import asyncio
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer

from innkeeper.actions.identity import merges, rule_changes, rule_settings, rule_undo
from innkeeper.actions.paging import PageRequest
from innkeeper.cli.options import Act, CommandContext, GuestRef, Json, Name, Workspace, command
from innkeeper.cli.output import progress_bar, show, table
from innkeeper.errors import OperatorError
from innkeeper.resources.base import without_nulls
from innkeeper.store.work import Work
from innkeeper.wire.identity.rules import read_guards, read_rule, read_rules, represent_rule

app = typer.Typer()
rules = typer.Typer(help="Identity rules, in order of evaluation.", no_args_is_help=True)
app.add_typer(rules, name="rules")
RuleFile = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        help='JSON file of the rules to try: [{"identityRule": …, "providers": […], '
        '"fields": […]}]; by default the rules in force.',
    ),
]
Limit = Annotated[int, typer.Option(help="Maximum number of entries.", min=1, max=10000)]
_LISTED = ("ref", "survivor_ref", "absorbed_ref", "rule", "source", "actor", "merged_at")


def _print_rules(rules: list[dict[str, Any]]) -> None:
    rows = [{"name": rule["identityRule"], "fields": [], **rule} for rule in rules]
    table(rows, "name", "providers", "fields")


@command(rules, "list", text=_print_rules)
async def rules_list(work: Work) -> list[dict[str, Any]]:
    """List the rules in order of evaluation."""
    return _represent(await rule_settings.list_rules(work))


@command(rules, "add")
def rules_add(
    name: Name,
    provider: Annotated[
        list[str] | None, typer.Option(help="Identifier provider that must match; repeatable.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(help="Guest field that must match, e.g. lastName; repeatable."),
    ] = None,
) -> Act[str]:
    """Add a rule at the end; all of its providers and fields must match."""
    rule = read_rule(name, provider or (), field or ())

    async def act(work: Work) -> str:
        await rule_settings.add_rule(work, rule)
        return f"{rule.name} is in force; `innkeeper identity apply` merges existing guests by it."

    return act


@command(rules, "reorder", text=_print_rules)
async def rules_reorder(
    work: Work, names: Annotated[list[str], typer.Argument(metavar="NAME…", show_default=False)]
) -> list[dict[str, Any]]:
    """Change the order of the rules; name all of them."""
    return _represent(await rule_settings.reorder_rules(work, names))


@command(rules, "delete")
async def rules_delete(work: Work, name: Name) -> str:
    """Delete a rule; the merges that it made remain until they are undone."""
    await rule_settings.delete_rule(work, name)
    return f"{name} is deleted."


def _print_preview(report: dict[str, Any]) -> None:
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


@command(app, "preview", text=_print_preview)
def preview(rules: RuleFile = None) -> Act[dict[str, Any]]:
    """Show how many existing guests rules would merge, with examples; change nothing."""
    proposed = _read(rules)
    return lambda work: rule_changes.preview(work, proposed)


@command(app, "apply")
def apply(
    context: CommandContext,
    rules: RuleFile = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Put rules in force and merge existing guests; a running server continues if interrupted."""
    proposed = _read(rules)

    async def act(work: Work) -> dict[str, Any]:
        return await _run(work, await rule_settings.apply_rules(work, proposed), json)

    job = context.run(workspace, act)
    _print_job(job, f"{job['merged']} guests were merged into others.", json)


@command(app, "jobs", columns="ref created_at actor state done total merged undoable undoes")
async def jobs(work: Work, limit: Limit = 50) -> Any:
    """List rule changes and their undos, newest first."""
    return (await rule_settings.list_jobs(work, PageRequest(limit=limit))).items


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


def _print_explanation(explanation: dict[str, Any]) -> None:
    print(f"{len(explanation['guests']) - 1} other guests are merged into this one.")
    table(explanation["merges"], *_LISTED, "evidence")
    print()
    table(
        explanation["joined"],
        *("guest_ref", "rule", "evidence", "source", "source_ref", "actor", "joined_at"),
    )


@command(app, "why", text=_print_explanation)
async def why(work: Work, guest: GuestRef) -> Any:
    """Explain a guest: list the merges in force and the records that matched it."""
    return await merges.explain(work, guest)


def _print_history(events: list[dict[str, Any]]) -> None:
    rows = [{**event["merge"], **event, "merge": event["merge"]["ref"]} for event in events]
    table(rows, "at", "event", "by", "merge", "survivor_ref", "absorbed_ref", "rule", "source")


@command(app, "history", text=_print_history)
async def history(work: Work, guest: GuestRef) -> Any:
    """List every merge and undo of a guest."""
    return await merges.history(work, guest)


@command(app, "merge", columns=" ".join(_LISTED))
async def merge(
    work: Work,
    survivor: Annotated[UUID, typer.Argument(metavar="SURVIVOR_REF", show_default=False)],
    absorbed: Annotated[UUID, typer.Argument(metavar="ABSORBED_REF", show_default=False)],
) -> Any:
    """Merge a guest into another; `unmerge` reverts it exactly."""
    return await merges.create(work, survivor, absorbed)


@command(app, "unmerge", columns=" ".join((*_LISTED, "undone_at", "undone_by")))
async def unmerge(
    work: Work, merge: Annotated[UUID, typer.Argument(metavar="MERGE_REF", show_default=False)]
) -> Any:
    """Undo a merge: both guests become what they would be without it."""
    return await merges.undo(work, merge)


@command(app, "guarded", columns="guarded_at reason rule evidence guests source actor")
async def guarded(work: Work, limit: Limit = 50) -> Any:
    """List matches that guards blocked, newest first, each with its reason."""
    return (await rule_settings.list_guarded(work, PageRequest(limit=limit))).items


@command(app, "guards", columns="group_limit region never")
def guards(
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
        list[str] | None, typer.Option(help="Value to remove from that list; repeatable.")
    ] = None,
) -> Act[Any]:
    """Show the settings of the guards, and change those that are named."""
    body = {
        "groupLimit": group_limit,
        "region": region,
        "never": never or None,
        "addNever": add_never or None,
        "removeNever": remove_never or None,
    }
    changes = read_guards(without_nulls(body))

    if changes:
        return lambda work: rule_settings.set_guards(work, changes)
    return rule_settings.fetch_guards


def _read(file: Path | None) -> Any:
    """Read rules from a JSON file in the format of the API; raises OperatorError."""
    if file is None:
        return None

    try:
        payload = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise OperatorError(f"{file} cannot be read ({error.strerror}).") from error
    except msgspec.DecodeError as error:
        raise OperatorError(f"{file} is not JSON: {error}.") from error
    return read_rules(payload if isinstance(payload, dict) else {"rules": payload})


def _represent(stored_rules: Any) -> list[dict[str, Any]]:
    """Return rules in the form of the API."""
    return [msgspec.to_builtins(represent_rule(rule)) for rule in stored_rules]


async def _run(work: Work, job: dict[str, Any], json: bool) -> dict[str, Any]:
    """Run a job, or show the progress of a server that runs it; return the finished job."""
    with progress_bar(silent=json) as progress:
        while not await rule_changes.run_jobs(work, progress):
            progress(await rule_settings.fetch_job(work, job["ref"]))
            await asyncio.sleep(0.5)
    return await rule_settings.fetch_job(work, job["ref"])


def _print_job(job: dict[str, Any], text: str, json: bool) -> None:
    if json:
        show(job)
    elif job["state"] == "failed":
        raise OperatorError(f"The rule change failed: {job['error']}")
    else:
        print(text)
