"""`innkeeper segments`: list, count, publish and pause segments."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from innkeeper.cli.options import Config, Data, Database, Json, settings
from innkeeper.store.work import Work

app = typer.Typer(help="Segments.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option(help="Workspace of the segment.")]
Segment = Annotated[
    str, typer.Argument(metavar="SEGMENT", help="Ref or friendly id.", show_default=False)
]


@app.command("list")
def segments_list(
    workspace: Workspace = "live",
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """List segments."""
    from innkeeper.actions.audiences import segments
    from innkeeper.cli.output import show, table

    rows = _run("segments list", workspace, segments.list_all, data, database, config)
    if json:
        show([{name: row[name] for name in row if name != "webhook_secret"} for row in rows])
    else:
        table(rows, "friendly_id", "name", "status", "size", "last_run_at", "ref")


@app.command("run")
def segments_run(
    segment: Segment,
    workspace: Workspace = "live",
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Calculate a segment now."""
    from innkeeper.actions.audiences import segment_runs
    from innkeeper.cli.output import show

    done = _run(
        *("segments run", workspace, lambda work: segment_runs.run(work, segment)),
        *(data, database, config),
    )
    if json:
        show(done)
    elif done["error"]:
        print(f"It failed: {done['error']}")
        raise typer.Exit(1)
    else:
        print(f"{done['rows']} guests.")


@app.command("start")
def segments_start(
    segment: Segment,
    workspace: Workspace = "live",
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Publish a segment: the background calculates it and keeps it Live."""
    from innkeeper.actions.audiences import segments

    row = _run(
        *("segments start", workspace, lambda work: segments.start(work, segment)),
        *(data, database, config),
    )
    print(f"{row['friendly_id']} is {row['status']}.")


@app.command("pause")
def segments_pause(
    segment: Segment,
    workspace: Workspace = "live",
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Stop calculating a segment."""
    from innkeeper.actions.audiences import segments

    row = _run(
        *("segments pause", workspace, lambda work: segments.pause(work, segment)),
        *(data, database, config),
    )
    print(f"{row['friendly_id']} is {row['status']}.")


def _run(
    command: str,
    workspace: str,
    act: Callable[[Work], Awaitable[Any]],
    data: Path | None,
    database: str | None,
    config: Path | None,
) -> Any:
    from innkeeper.cli.reach import run

    return run(settings(config, data=data, database=database), command, act, workspace=workspace)
