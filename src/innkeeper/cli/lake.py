"""`innkeeper lake`: show, flush, compact or rebuild the lake."""

from typing import Any

import typer

from innkeeper.cli.options import command
from innkeeper.cli.output import table
from innkeeper.lake.compaction import compact, rebuild, status
from innkeeper.lake.flush import flush_all
from innkeeper.store.work import Work

app = typer.Typer()


def _print_status(state: dict[str, Any]) -> None:
    print(f"{state['waiting']} pending changes; {state['sequence']} flushes; in {state['place']}")
    table(state["tables"], "name", "files", "rows", "bytes")


@command(app, "status", text=_print_status)
async def lake_status(work: Work) -> Any:
    """Show files, rows and bytes of each table, and the number of pending changes."""
    return await status(work)


@command(app, "flush")
async def lake_flush(work: Work) -> str:
    """Write pending changes to files now."""
    return f"{await flush_all(work)} changes were flushed."


@command(app, "compact")
async def lake_compact(work: Work) -> str:
    """Merge files, and drop replaced and deleted rows."""
    done = await compact(work, everything=True)
    if done is None:
        return "Another process is compacting this lake."
    return f"{done.read} files became {done.written}; {done.dropped} were deleted."


@command(app, "rebuild")
async def lake_rebuild(work: Work) -> str:
    """Rewrite every file from the database, after files were lost or a backup was restored."""
    await rebuild(work)
    return f"{await flush_all(work)} guests and orders were written."
