"""`innkeeper report`: print reports as tables and charts in the terminal."""

from typing import Annotated, Any

import typer

from innkeeper.cli.options import CommandContext, Json, takes_database

Workspace = Annotated[str, typer.Option(help="Workspace of the report.")]


@takes_database
def report(
    context: CommandContext,
    name: Annotated[str, typer.Argument(help="Name of a report; without it, list them.")] = "",
    workspace: Workspace = "live",
    first: Annotated[str | None, typer.Option("--from", help="First day, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day, YYYY-MM-DD.")] = None,
    time_zone: Annotated[str, typer.Option(help="Time zone of days and weeks.")] = "UTC",
    interval: Annotated[str, typer.Option(help="day, week, month or year.")] = "day",
    currency: Annotated[
        str, typer.Option(help="Only this currency; EUR for RFM, which needs one.")
    ] = "",
    limit: Annotated[int, typer.Option(help="Maximum number of rows of a ranking.")] = 20,
    steps: Annotated[
        str, typer.Option(help="Event types of a funnel.")
    ] = "VIEW,ADD,CONFIRM,CHECKOUT",
    window: Annotated[int, typer.Option(help="Most days between two steps; 0 for any.")] = 0,
    by: Annotated[str, typer.Option(help="Field of guests that splits a funnel.")] = "",
    product: Annotated[str, typer.Option(help="Only variants of this product.")] = "",
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Print a report: funnel, retention, rfm, revenue, abandoned, products, pages, and others."""
    from innkeeper.actions.audiences import reports
    from innkeeper.cli.output import show, table
    from innkeeper.rules.report_parameters import read_parameters

    if not name:
        rows = [{"name": each, "title": title} for each, title in reports.list_reports()]
        show(rows) if json else table(rows, "name", "title")
        return
    params = {"time_zone": time_zone, "interval": interval, "currency": currency, "steps": steps}
    params |= {"window": str(window), "by": by, "product": product}
    params |= {"limit": str(limit), "from": first or "", "to": last or ""}
    parameters = read_parameters(params)
    result = context.run(workspace, lambda work: reports.run(work, name, parameters))
    if csv:
        from innkeeper.wire.audiences.reports import as_csv

        print(as_csv(result).decode(), end="")
    elif json:
        from innkeeper.wire.audiences.reports import plain

        show({**result, "rows": [[plain(value) for value in row] for row in result["rows"]]})
    else:
        _draw(result)


def _draw(result: dict[str, Any]) -> None:
    """Print a table with a bar beside each row."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000
    console.print(result["title"], markup=False)
    if not result["rows"]:
        console.print("No data in this period.")
        return
    at = result["columns"].index(result["value"])
    most = max((abs(row[at] or 0) for row in result["rows"]), default=0) or 1
    drawn = Table(box=None, pad_edge=False)
    for column in result["columns"]:
        drawn.add_column(column, overflow="fold")
    drawn.add_column("")
    for row in result["rows"]:
        size = abs(row[at] or 0) / most * 30
        bar = "█" * int(size) + ("▌" if size % 1 >= 0.5 else "")
        drawn.add_row(*("-" if value is None else str(value) for value in row), bar)
    console.print(drawn)
