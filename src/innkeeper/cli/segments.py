"""`innkeeper segments`: list, count, publish and pause segments."""

from typing import Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command

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
