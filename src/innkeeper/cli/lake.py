"""`innkeeper lake`: show, flush, compact or rebuild the lake."""

from typing import Annotated

import typer

from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.store.work import Work

app = typer.Typer(help="The lake's files.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option(help="Workspace of the lake.")]


@command(app, "status")
def lake_status(
    context: CommandContext,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Show files, rows and bytes of each table, and the number of pending changes."""
    from innkeeper.cli.output import show, table
    from innkeeper.lake.compaction import status

    state = context.run(workspace, status)
    if json:
        show(state)
        return
    print(f"{state['waiting']} pending changes; {state['sequence']} flushes; in {state['place']}")
    table(state["tables"], "name", "files", "rows", "bytes")


@command(app, "flush")
def lake_flush(
    context: CommandContext,
    workspace: Workspace = "live",
) -> None:
    """Write pending changes to files now."""
    from innkeeper.lake.flush import flush_all

    count = context.run(workspace, flush_all)
    print(f"{count} changes were flushed.")


@command(app, "compact")
def lake_compact(
    context: CommandContext,
    workspace: Workspace = "live",
) -> None:
    """Merge files, and drop replaced and deleted rows."""
    from innkeeper.lake.compaction import compact

    done = context.run(workspace, lambda work: compact(work, everything=True))
    if done is None:
        print("Another process is compacting this lake.")
    else:
        print(f"{done.read} files became {done.written}; {done.dropped} were deleted.")


@command(app, "rebuild")
def lake_rebuild(
    context: CommandContext,
    workspace: Workspace = "live",
) -> None:
    """Rewrite every file from the database, after files were lost or a backup was restored."""
    from innkeeper.lake.compaction import rebuild
    from innkeeper.lake.flush import flush_all

    async def act(work: Work) -> int:
        await rebuild(work)
        return await flush_all(work)

    print(f"{context.run(workspace, act)} guests and orders were written.")
