"""`innkeeper static-lists`: create lists, and add, remove or list their guests."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from innkeeper.actions.audiences import bulk_actions, selections, static_lists
from innkeeper.actions.audiences.selections import identifiers_in
from innkeeper.cli.options import CommandContext, Json, Workspace, command
from innkeeper.cli.output import show
from innkeeper.cli.segments import (
    TableColumns,
    TableCsv,
    TableLimit,
    TableOffset,
    TableSort,
    print_table,
)
from innkeeper.errors import OperatorError
from innkeeper.resources.static_lists import (
    ADD,
    MOST_NAMED,
    REMOVE,
    GuestSelection,
    definition_of_list,
)
from innkeeper.store.work import Work

app = typer.Typer()
List = Annotated[
    str, typer.Argument(metavar="LIST", help="Ref or friendly id.", show_default=False)
]
Segment = Annotated[str, typer.Option(help="Guests in this segment now: ref or friendly id.")]
FromList = Annotated[str, typer.Option(help="Guests on this list: ref or friendly id.")]
Guest = Annotated[
    list[str] | None, typer.Option(help="A ref, an e-mail address, or provider:id. Repeatable.")
]
File = Annotated[
    Path | None, typer.Option(help="A text file with a ref, e-mail address or identifier a line.")
]
_LONGEST_FILE: Final = 64 * 1024 * 1024


@command(app, "list", columns="friendly_id name size created_by created_at ref")
async def static_lists_list(work: Work) -> Any:
    """List static lists."""
    return await static_lists.list_all(work)


@command(app, "create", columns="friendly_id name ref")
async def static_lists_create(
    work: Work, name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the list.")]
) -> Any:
    """Create a list without guests."""
    return await static_lists.create(work, {"name": name})


@command(app, "delete")
async def static_lists_delete(work: Work, static_list: List) -> str:
    """Delete a list; its guests remain."""
    await static_lists.delete(work, static_list)
    return f"{static_list} is deleted."


@command(app, "guests")
def static_lists_guests(
    context: CommandContext,
    static_list: List,
    workspace: Workspace = "live",
    columns: TableColumns = "",
    sort: TableSort = "",
    offset: TableOffset = 0,
    limit: TableLimit = None,
    json: Json = False,
    csv: TableCsv = False,
) -> None:
    """List the guests on a list now, with chosen columns."""

    async def find(work: Any) -> Any:
        row = await static_lists.fetch_stored(work, static_list)
        return definition_of_list(row["friendly_id"]), columns, sort

    print_table(context, workspace, find, (offset, limit), json=json, csv=csv)


@command(app, "add")
def static_lists_add(
    context: CommandContext,
    static_list: List,
    segment: Segment = "",
    from_list: FromList = "",
    guest: Guest = None,
    file: File = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Add guests to a list."""
    _change(context, workspace, ADD, static_list, (segment, from_list, guest, file), json)


@command(app, "remove")
def static_lists_remove(
    context: CommandContext,
    static_list: List,
    segment: Segment = "",
    from_list: FromList = "",
    guest: Guest = None,
    file: File = None,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Remove guests from a list."""
    _change(context, workspace, REMOVE, static_list, (segment, from_list, guest, file), json)


@command(app, "erase-guests")
def static_lists_erase(
    context: CommandContext,
    static_list: List,
    expected: Annotated[int, typer.Option(help="Number of guests, which confirms the erasure.")],
    suppress: Annotated[
        bool, typer.Option("--suppress", help="Also add their identifiers to the block list.")
    ] = False,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Erase every guest on a list, with everything that is stored about them."""

    async def erase(work: Any) -> Any:
        requested = GuestSelection(static_list=static_list)
        selection = await selections.read_selection(work, requested)
        row = await bulk_actions.erase(work, selection, expected, suppress=suppress)
        return await bulk_actions.run(work, row["ref"])

    _report(context.run(workspace, erase), [], json)


def _change(
    context: CommandContext,
    workspace: str,
    action: str,
    static_list: str,
    sources: tuple[str, str, list[str] | None, Path | None],
    json: bool,
) -> None:
    """Add or remove the guests of one source; those of a long file in several actions."""
    requests = [GuestSelection(**each) for each in _selections(*sources)]

    async def change(work: Any) -> Any:
        total, changed = 0, 0
        unmatched: list[str] = []
        for requested in requests:
            selection = await selections.read_selection(work, requested)
            row = await bulk_actions.change_members(work, action, static_list, selection, None)
            row = await bulk_actions.run(work, row["ref"])
            unmatched += selection.unmatched
            total, changed = total + row["total"], changed + row["changed"]
            if row["error"]:
                break
        return {**row, "total": total, "changed": changed}, unmatched

    row, unmatched = context.run(workspace, change)
    _report(row, unmatched, json)


def _selections(
    segment: str, from_list: str, guests: list[str] | None, file: Path | None
) -> list[dict[str, Any]]:
    """Return the selections that the options of a command name; raises `OperatorError`."""
    if sum(map(bool, (segment, from_list, guests, file))) != 1:
        raise OperatorError("Name one of --segment, --from-list, --guest and --file.")
    if segment:
        return [{"segment": segment}]
    if from_list:
        return [{"static_list": from_list}]
    lines = guests or []
    if file is not None:
        if not file.is_file():
            raise OperatorError(f"There is no file {file}.")
        if file.stat().st_size > _LONGEST_FILE:
            raise OperatorError(f"{file} is larger than {_LONGEST_FILE // 1024**2} MB.")
        lines = identifiers_in(file.read_text("utf-8", "replace"))
        if not lines:
            raise OperatorError(f"{file} has no identifiers.")
    starts = range(0, len(lines), MOST_NAMED)
    return [{"identifiers": lines[start : start + MOST_NAMED]} for start in starts]


def _report(row: dict[str, Any], unmatched: list[str], json: bool) -> None:
    if json:
        members = ("ref", "action", "state", "total", "changed", "error")
        show({**{name: row[name] for name in members}, "unmatched": unmatched})
    else:
        print(f"{row['total']} guests, {row['changed']} changed.")
        for text in unmatched:
            print(f"No guest has {text}.")
    if row["error"]:
        raise OperatorError(row["error"])
