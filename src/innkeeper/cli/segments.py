"""`innkeeper segments`: list, count, compare, copy, restore, publish and pause segments."""

from typing import TYPE_CHECKING, Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command

if TYPE_CHECKING:
    from innkeeper.actions.audiences.guest_tables import GuestTable

app = typer.Typer(help="Segments.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option(help="Workspace of the segment.")]
Segment = Annotated[
    str, typer.Argument(metavar="SEGMENT", help="Ref or friendly id.", show_default=False)
]


@command(app, "list")
def segments_list(
    context: CommandContext,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """List segments."""
    from innkeeper.actions.audiences import segments
    from innkeeper.cli.output import print_rows

    rows = context.run(workspace, segments.list_all)
    public = [{name: row[name] for name in row if name != "webhook_secret"} for row in rows]
    print_rows(public, json, "friendly_id", "name", "status", "size", "last_run_at", "ref")


@command(app, "run")
def segments_run(
    context: CommandContext,
    segment: Segment,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Calculate a segment now."""
    from innkeeper.actions.audiences import segment_runs
    from innkeeper.cli.output import show

    done = context.run(workspace, lambda work: segment_runs.run(work, segment))
    if json:
        show(done)
    elif done["error"]:
        print(f"The calculation failed: {done['error']}")
        raise typer.Exit(1)
    else:
        print(f"{done['rows']} guests.")


@command(app, "start")
def segments_start(
    context: CommandContext,
    segment: Segment,
    workspace: Workspace = "live",
) -> None:
    """Publish a segment: background jobs calculate it and then update it as Live."""
    from innkeeper.actions.audiences import segments

    row = context.run(workspace, lambda work: segments.start(work, segment))
    print(f"{row['friendly_id']} is {row['status']}.")


@command(app, "pause")
def segments_pause(
    context: CommandContext,
    segment: Segment,
    workspace: Workspace = "live",
) -> None:
    """Pause a segment; its stored members are deleted."""
    from innkeeper.actions.audiences import segments

    row = context.run(workspace, lambda work: segments.pause(work, segment))
    print(f"{row['friendly_id']} is {row['status']}.")


@command(app, "guests")
def segments_guests(
    context: CommandContext,
    segment: Segment,
    workspace: Workspace = "live",
    columns: Annotated[str, typer.Option(help="Columns as exports name them, with commas.")] = "",
    sort: Annotated[str, typer.Option(help="Column to sort by; -NAME sorts descending.")] = "",
    offset: Annotated[int, typer.Option(help="Guests to skip.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="Most guests to list.", min=1)] = 100,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """List the guests in a segment now, with chosen columns."""
    from innkeeper.actions.audiences import guest_tables
    from innkeeper.resources.exports import TABLE_COLUMNS
    from innkeeper.wire.audiences.segment_tables import page_of

    names = columns.split(",") if columns else TABLE_COLUMNS
    page = page_of(offset, limit, sort)
    listed = context.run(
        workspace, lambda work: guest_tables.of_segment(work, segment, names, page)
    )
    print_table(listed, json=json, csv=csv)


def print_table(listed: "GuestTable", *, json: bool, csv: bool) -> None:
    """Print a table of guests: for people, as JSON or as CSV."""
    from innkeeper.cli.output import show, table
    from innkeeper.wire.audiences.reports import as_csv

    if csv:
        print(as_csv(listed.csv).decode(), end="")
    elif json:
        show({"total_count": listed.total, "rows": listed.records})
    else:
        table(listed.records, "ref", *(column.name for column in listed.columns))


@command(app, "overlap")
def segments_overlap(
    context: CommandContext,
    segment: Segment,
    other: Annotated[
        str, typer.Argument(metavar="OTHER", help="Ref or friendly id.", show_default=False)
    ],
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Count the guests of two segments now, and those in both."""
    from innkeeper.actions.audiences import segment_catalogue
    from innkeeper.cli.output import print_rows

    counts = context.run(workspace, lambda work: segment_catalogue.compare(work, segment, other))
    print_rows(counts, json, "size", "other_size", "both")


@command(app, "duplicate")
def segments_duplicate(
    context: CommandContext, segment: Segment, workspace: Workspace = "live"
) -> None:
    """Create a Draft with the definition and tags of a segment."""
    from innkeeper.actions.audiences import segments

    row = context.run(workspace, lambda work: segments.duplicate(work, segment))
    print(f"{row['friendly_id']} is {row['status']}.")


@command(app, "restore")
def segments_restore(
    context: CommandContext,
    segment: Segment,
    revision: Annotated[int, typer.Argument(metavar="REVISION", help="Number of the revision.")],
    workspace: Workspace = "live",
) -> None:
    """Make an earlier revision of a segment the newest one."""
    from innkeeper.actions.audiences import segments

    row = context.run(workspace, lambda work: segments.restore(work, segment, revision))
    print(f"{row['friendly_id']} is at revision {row['revision']}.")
