"""`innkeeper lake`: what the lake holds; flush, compact or rebuild it by hand."""

from typing import Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.store.work import Work

app = typer.Typer(help="The lake's files.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option(help="Workspace whose lake it is.")]


@command(app, "status")
def lake_status(
    here: CommandContext,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Show files, rows and bytes of each table, and whether changes wait."""
    from innkeeper.cli.output import show, table
    from innkeeper.lake.compaction import status

    found = here.run(workspace, status)
    if json:
        show(found)
        return
    print(f"{found['waiting']} changes wait; {found['sequence']} flushes; in {found['place']}")
    table(found["tables"], "name", "files", "rows", "bytes")


@command(app, "flush")
def lake_flush(
    here: CommandContext,
    workspace: Workspace = "live",
) -> None:
    """Write what changed to files now."""
    from innkeeper.lake.flush import flush_all

    taken = here.run(workspace, flush_all)
    print(f"{taken} changes were taken.")


@command(app, "compact")
def lake_compact(
    here: CommandContext,
    workspace: Workspace = "live",
) -> None:
    """Make few files of many, without anything that is old or deleted."""
    from innkeeper.lake.compaction import compact

    done = here.run(workspace, lambda work: compact(work, everything=True))
    if done is None:
        print("Another process compacts this lake.")
    else:
        print(f"{done.read} files became {done.written}; {done.dropped} were removed.")


@command(app, "rebuild")
def lake_rebuild(
    here: CommandContext,
    workspace: Workspace = "live",
) -> None:
    """Write every file anew from the database: after files were lost, or a backup restored."""
    from innkeeper.lake.compaction import rebuild
    from innkeeper.lake.flush import flush_all

    async def again(work: Work) -> int:
        await rebuild(work)
        return await flush_all(work)

    print(f"{here.run(workspace, again)} roots were written.")
