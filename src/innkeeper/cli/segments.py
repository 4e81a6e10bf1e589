"""`innkeeper segments`: list, count, compare, copy, restore, publish and pause segments."""

import shutil
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import IO, Annotated

import typer

from innkeeper.actions.audiences import guest_tables, segment_catalogue, segment_runs, segments
from innkeeper.actions.audiences.guest_tables import GuestTable
from innkeeper.cli.options import CommandContext, Json, Workspace, command
from innkeeper.cli.output import show, table
from innkeeper.resources.base import Record
from innkeeper.resources.exports import TABLE_COLUMNS
from innkeeper.store.work import Work
from innkeeper.wire.audiences.segment_tables import page_of

app = typer.Typer()
Segment = Annotated[
    str, typer.Argument(metavar="SEGMENT", help="Ref or friendly id.", show_default=False)
]


@command(app, "list", columns="friendly_id name status size last_run_at ref")
async def segments_list(work: Work) -> list[Record]:
    """List segments."""
    return without_secrets(await segments.list_all(work))


def without_secrets(rows: Iterable[Record]) -> list[Record]:
    """Return rows without the secrets of their webhooks."""
    return [{name: row[name] for name in row if name != "webhook_secret"} for row in rows]


def _print_run(run: Record) -> None:
    if run["error"]:
        print(f"The calculation failed: {run['error']}")
        raise typer.Exit(1)
    print(f"{run['rows']} guests.")


@command(app, "run", text=_print_run)
async def segments_run(work: Work, segment: Segment) -> Record:
    """Calculate a segment now."""
    return await segment_runs.run(work, segment)


@command(app, "start")
async def segments_start(work: Work, segment: Segment) -> str:
    """Publish a segment: background jobs calculate it and then update it as Live."""
    return _status_of(await segments.start(work, segment))


@command(app, "pause")
async def segments_pause(work: Work, segment: Segment) -> str:
    """Pause a segment; its stored members are deleted."""
    return _status_of(await segments.pause(work, segment))


TableColumns = Annotated[str, typer.Option(help="Columns as exports name them, with commas.")]
TableSort = Annotated[str, typer.Option(help="Column to sort by; -NAME sorts descending.")]
TableOffset = Annotated[int, typer.Option(help="Guests to skip.", min=0)]
TableLimit = Annotated[
    int | None,
    typer.Option(
        help="Most guests to list: 100 by default, of CSV all.", min=1, show_default=False
    ),
]
TableCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


@command(app, "guests")
def segments_guests(
    context: CommandContext,
    segment: Segment,
    workspace: Workspace = "live",
    columns: TableColumns = "",
    sort: TableSort = "",
    offset: TableOffset = 0,
    limit: TableLimit = None,
    json: Json = False,
    csv: TableCsv = False,
) -> None:
    """List the guests in a segment now, with chosen columns."""

    async def find(work: Work) -> tuple[Record, str, str]:
        return (await segments.fetch(work, segment))["definition"], columns, sort

    print_table(context, workspace, find, (offset, limit), json=json, csv=csv)


def print_table(
    context: CommandContext,
    workspace: str,
    find: Callable[[Work], Awaitable[tuple[Record, str, str]]],
    part: tuple[int, int | None],
    *,
    json: bool,
    csv: bool,
) -> None:
    """Print a table of guests: for people, as JSON or as CSV.

    `find` returns the stored definition, the columns and the sort; `part`: offset and limit.
    """
    offset, limit = part

    async def read(work: Work) -> GuestTable | IO[bytes]:
        definition, columns, sort = await find(work)
        names = columns.split(",") if columns else TABLE_COLUMNS
        page = page_of(offset, limit or 100, sort)
        if csv:
            return (await guest_tables.open_csv(work, definition, names, page, limit))[0]
        return await guest_tables.of_definition(work, definition, names, page, stored=definition)

    listed = context.run(workspace, read)
    if not isinstance(listed, GuestTable):
        with listed:
            shutil.copyfileobj(listed, sys.stdout.buffer)
    elif json:
        show({"total_count": listed.total, "rows": listed.records})
    else:
        table(listed.records, "ref", *(column.name for column in listed.columns))


@command(app, "overlap", columns="size other_size both")
async def segments_overlap(
    work: Work,
    segment: Segment,
    other: Annotated[
        str, typer.Argument(metavar="OTHER", help="Ref or friendly id.", show_default=False)
    ],
) -> Record:
    """Count the guests of two segments now, and the guests in both."""
    return await segment_catalogue.compare(work, segment, other)


@command(app, "duplicate")
async def segments_duplicate(work: Work, segment: Segment) -> str:
    """Create a Draft with the definition and tags of a segment."""
    return _status_of(await segments.duplicate(work, segment))


@command(app, "restore")
async def segments_restore(
    work: Work,
    segment: Segment,
    revision: Annotated[int, typer.Argument(metavar="REVISION", help="Number of the revision.")],
) -> str:
    """Make an earlier revision of a segment the newest one."""
    row = await segments.restore(work, segment, revision)
    return f"{row['friendly_id']} is at revision {row['revision']}."


def _status_of(row: Record) -> str:
    return f"{row['friendly_id']} is {row['status']}."
