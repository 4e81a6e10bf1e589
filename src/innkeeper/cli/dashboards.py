"""`innkeeper dashboards`: the reports that users pinned."""

from typing import Annotated, Any, Final

import typer

from innkeeper.actions.audiences import dashboards
from innkeeper.cli.options import Act, command
from innkeeper.errors import OperatorError
from innkeeper.resources.base import Record
from innkeeper.store.work import Work

app = typer.Typer()
Email = Annotated[
    str, typer.Argument(metavar="EMAIL", help="The user of the dashboard.", show_default=False)
]
Position = Annotated[int, typer.Argument(help="Position of the report, from 1.", min=1)]
COLUMNS: Final = "position report title days parameters"


@command(app, "list", columns=COLUMNS)
async def dashboards_list(work: Work, email: Email) -> list[Record]:
    """List the reports on a dashboard, in order."""
    return await _rows(work, email)


@command(app, "pin", columns=COLUMNS)
def dashboards_pin(
    email: Email,
    report: Annotated[str, typer.Argument(metavar="REPORT", show_default=False)],
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="As in the query of the report, such as currency=EUR. Repeatable."),
    ] = None,
) -> Act[list[Record]]:
    """Pin a report at the end; a period that ends today moves on with the days."""
    parameters = dict(_pair(text) for text in parameter or ())

    async def act(work: Work) -> list[Record]:

        await dashboards.pin(work, email, report, parameters)
        return await _rows(work, email)

    return act


@command(app, "move", columns=COLUMNS)
async def dashboards_move(
    work: Work,
    email: Email,
    position: Position,
    to: Annotated[int, typer.Argument(help="Its new position.", min=1)],
) -> list[Record]:
    """Move a report to another position."""
    await dashboards.move(work, email, position - 1, to - position)
    return await _rows(work, email)


@command(app, "remove", columns=COLUMNS)
async def dashboards_remove(work: Work, email: Email, position: Position) -> list[Record]:
    """Remove a report from a dashboard."""
    await dashboards.remove(work, email, position - 1)
    return await _rows(work, email)


async def _rows(work: Work, email: str) -> list[dict[str, Any]]:

    items = await dashboards.list_reports(work, email)
    return [{"position": position, **item} for position, item in enumerate(items, 1)]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise OperatorError(f"{text} is not NAME=VALUE, such as currency=EUR.")
    return name, value
