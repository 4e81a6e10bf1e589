"""`innkeeper guests`: search guests; and `guest-views`: views of their list."""

import shutil
import sys
from typing import IO, Annotated, Any

import typer

from innkeeper.actions.audiences import guest_views
from innkeeper.actions.console import search
from innkeeper.actions.paging import PageRequest
from innkeeper.cli.options import CommandContext, Json, Workspace, command
from innkeeper.cli.output import print_rows
from innkeeper.cli.segments import TableCsv, TableLimit, TableOffset, print_table
from innkeeper.errors import OperatorError
from innkeeper.resources.base import Record
from innkeeper.resources.exports import TABLE_COLUMNS
from innkeeper.store.work import Work
from innkeeper.wire.audiences.guest_search import definition_of_type

views = typer.Typer()
app = typer.Typer()
View = Annotated[str, typer.Argument(metavar="VIEW", help="Ref or name.", show_default=False)]


@command(app, "search")
def guests_search(
    context: CommandContext,
    text: Annotated[str, typer.Argument(metavar="TEXT", show_default=False)],
    workspace: Workspace = "live",
    limit: Annotated[int, typer.Option(help="Maximum number of guests; CSV has all.", min=1)] = 50,
    json: Json = False,
    csv: TableCsv = False,
) -> None:
    """Search guests by ref, e-mail address or a part of it, phone, name, identifier or order."""

    async def read(work: Work) -> IO[bytes] | list[Record]:
        page = PageRequest(limit=limit)
        if csv:
            shape = definition_of_type(None), TABLE_COLUMNS, page
            return (await search.open_csv(work, text, *shape))[0]
        hits = await search.find_guests(work, text, page)
        return [
            {
                **{name: item.get(name) for name in ("ref", "guest_type", "email", "city")},
                "name": " ".join(filter(None, (item.get("first_name"), item.get("last_name")))),
                "matched_by": item["found_by"],
            }
            for item in hits.items
        ]

    listed = context.run(workspace, read)
    if isinstance(listed, list):
        print_rows(listed, json, "ref", "guest_type", "name", "email", "city", "matched_by")
        return
    with listed:
        shutil.copyfileobj(listed, sys.stdout.buffer)


@command(views, "list", columns="name owner is_shared columns sort ref")
async def guest_views_list(work: Work) -> Any:
    """List the views of all users."""
    return await guest_views.list_visible(work)


@command(views, "guests")
def guest_views_guests(
    context: CommandContext,
    view: View,
    workspace: Workspace = "live",
    offset: TableOffset = 0,
    limit: TableLimit = None,
    json: Json = False,
    csv: TableCsv = False,
) -> None:
    """List the guests of a view now, with its columns and sort."""

    async def find(work: Work) -> tuple[Any, str, str]:
        row = await _find(work, view)
        return row["definition"], ",".join(row["columns"]), row["sort"] or ""

    print_table(context, workspace, find, (offset, limit), json=json, csv=csv)


@command(views, "delete")
async def guest_views_delete(work: Work, view: View) -> str:
    """Delete a view; its guests remain."""
    row = await _find(work, view)
    await guest_views.delete(work, row["ref"], may_manage=True)
    return f"{row['name']} is deleted."


async def _find(work: Work, view: str) -> Any:
    rows = await guest_views.list_visible(work)
    named = [row for row in rows if view in (row["name"], str(row["ref"]))]
    if len(named) > 1:
        raise OperatorError(f"{len(named)} views are named {view}. Use the ref of one.")
    if not named:
        raise OperatorError(f"There is no view {view}.")
    return named[0]
