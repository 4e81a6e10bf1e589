"""`innkeeper guest-views`: shared views of the list of guests."""

from typing import Annotated, Any, Final

import typer

from innkeeper.actions.audiences import guest_views
from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.cli.segments import TableCsv, TableLimit, TableOffset, print_table
from innkeeper.errors import OperatorError
from innkeeper.store.work import Work

app = typer.Typer()

WORKSPACE: Final = "Workspace of the views."
View = Annotated[str, typer.Argument(metavar="VIEW", help="Ref or name.", show_default=False)]


@command(app, "list", WORKSPACE, columns="name owner columns sort ref")
async def guest_views_list(work: Work) -> Any:
    """List shared views."""
    return await guest_views.list_visible(work)


@command(app, "guests")
def guest_views_guests(
    context: CommandContext,
    view: View,
    workspace: Annotated[str, typer.Option(help=WORKSPACE)] = "live",
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


@command(app, "delete", WORKSPACE)
async def guest_views_delete(work: Work, view: View) -> str:
    """Delete a view; its guests remain."""
    row = await _find(work, view)
    await guest_views.delete(work, row["ref"], may_manage=True)
    return f"{row['name']} is deleted."


async def _find(work: Work, view: str) -> Any:

    for row in await guest_views.list_visible(work):
        if view in (row["name"], str(row["ref"])):
            return row
    raise OperatorError(f"There is no shared view {view}.")
