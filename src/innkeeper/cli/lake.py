"""`innkeeper lake`: what the lake holds; flush, compact or rebuild it by hand."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from innkeeper.cli.options import Config, Data, Database, Json, settings
from innkeeper.store.work import Work

app = typer.Typer(help="The lake's files.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option(help="Workspace whose lake it is.")]


@app.command("status")
def lake_status(
    workspace: Workspace = "live",
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show files, rows and bytes of each table, and whether changes wait."""
    from innkeeper.cli.output import show, table
    from innkeeper.lake.compaction import status

    found = _run("lake status", workspace, status, data, database, config)
    if json:
        show(found)
        return
    print(f"{found['waiting']} changes wait; {found['sequence']} flushes; in {found['place']}")
    table(found["tables"], "name", "files", "rows", "bytes")


@app.command("flush")
def lake_flush(
    workspace: Workspace = "live",
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Write what changed to files now."""
    from innkeeper.lake.flush import flush_all

    taken = _run("lake flush", workspace, flush_all, data, database, config)
    print(f"{taken} changes were taken.")


@app.command("compact")
def lake_compact(
    workspace: Workspace = "live",
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Make few files of many, without anything that is old or deleted."""
    from innkeeper.lake.compaction import compact

    done = _run(
        *("lake compact", workspace, lambda work: compact(work, everything=True)),
        *(data, database, config),
    )
    if done is None:
        print("Another process compacts this lake.")
    else:
        print(f"{done.read} files became {done.written}; {done.dropped} were removed.")


@app.command("rebuild")
def lake_rebuild(
    workspace: Workspace = "live",
    data: Data = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Write every file anew from the database: after files were lost, or a backup restored."""
    from innkeeper.lake.compaction import rebuild
    from innkeeper.lake.flush import flush_all

    async def again(work: Work) -> int:
        await rebuild(work)
        return await flush_all(work)

    print(f"{_run('lake rebuild', workspace, again, data, database, config)} roots were written.")


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
