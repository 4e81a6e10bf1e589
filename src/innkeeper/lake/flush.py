"""Flush: write the changes since the last flush to files of the lake.

One transaction with one snapshot takes rows from the change feed, reads the current rows of their
roots, and lists the new files. If it is killed before its commit, nothing happened except that some
files exist which no list names. A root that changes during the flush is in the feed again.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from innkeeper.lake import duckdb as engine
from innkeeper.lake.change_feed import FLUSHED_ROWS, MERGED, Lines, copy_lines
from innkeeper.lake.files import new_path, storage
from innkeeper.lake.locks import FLUSH, alone
from innkeeper.lake.tables import BY_NAME, CHANGES, GUESTS, KINDS
from innkeeper.settings import Settings
from innkeeper.store.files import Files
from innkeeper.store.parquet_types import literal, quoted
from innkeeper.store.temp_files import temporary
from innkeeper.store.work import Work

CHUNK: Final = 25_000
"""Maximum number of changes of one flush; the next takes the others. 100,000 guests of a usual
length do not fit into `lake_maintenance_mb`: their flush runs again with the memory of a query."""


@dataclass(frozen=True)
class Written:
    """One new file."""

    path: str
    name: str
    kind: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Flushed:
    """The result of a flush; `changes` is 0 if nothing was pending."""

    sequence: int
    changes: int
    files: list[Written]


async def flush(work: Work, most: int = CHUNK) -> Flushed:
    """Flush up to `most` changes; waits while another process flushes."""
    async with alone(work, FLUSH):
        row = await work.one("lake.waiting")
        if row is None or not row["waiting"]:
            return Flushed(0, 0, [])
        await work.run("lake.make_taken")
        with temporary(work.settings, "flush") as folder:
            async with work.transaction():
                await work.run("lake.repeatable_read")
                return await _flush(work, most, folder)


async def flush_all(work: Work, most: int = CHUNK) -> int:
    """Flush until no change is pending; return the number of changes."""
    count = 0
    while changes := (await flush(work, most)).changes:
        count += changes
        if changes < most:
            break
    return count


async def _flush(work: Work, most: int, folder: Path) -> Flushed:
    changes = await work.run("lake.take", most=most)
    lines = await copy_lines(work, FLUSHED_ROWS, folder)
    state = await work.row("lake.flushed")
    sequence = state["sequence"]
    prefix = (work.workspace, state["folder"], sequence)
    files = await asyncio.to_thread(_write, work.settings, prefix, lines)
    for file in files:
        await work.run("lake.add_file", sequence=sequence, **vars(file))
    row = await work.one("segments.any_live")
    if row and row["live"]:
        await work.run("segments.touch")
    return Flushed(sequence, changes, files)


def _write(settings: Settings, prefix: tuple[str, Any, int], lines: Lines) -> list[Written]:
    lake_files = storage(settings)
    return engine.run_maintenance(
        settings, lake_files, lambda lent: write_lines(lent, lake_files, prefix, lines)
    )


def write_lines(
    connection: Any, lake_files: Files, prefix: tuple[str, Any, int], lines: Lines
) -> list[Written]:
    """Write a file for each table with rows. `prefix`: workspace, folder, sequence."""
    workspace, folder, sequence = prefix
    files = []
    for name, path in lines.paths.items():
        if name == CHANGES:
            files += _write_changes(connection, lake_files, prefix, path)
            continue
        target = new_path(workspace, folder, name, sequence)
        if name == MERGED:
            written = write_rows(connection, lake_files, target, engine.merged_rows(path))
            files.append(Written(target, name, GUESTS.kind, *written))
            continue
        table = BY_NAME[name]
        rows = engine.typed_rows(table, path, sequence)
        order = ", ".join(map(quoted, table.sort))
        written = write_rows(connection, lake_files, target, f"{rows} ORDER BY {order}")
        files.append(Written(target, name, table.kind, *written))
    return files


def _write_changes(
    connection: Any, location: Files, prefix: tuple[str, Any, int], path: Path
) -> list[Written]:
    """Write a file of outdated refs for each kind that has some."""
    workspace, folder, sequence = prefix
    source = (
        f"read_json({literal(str(path))}, format = 'newline_delimited', "
        "columns = {kind: 'VARCHAR', ref: 'UUID'})"
    )
    files = []
    for kind in KINDS:
        target = new_path(workspace, folder, f"{CHANGES}_{kind}", sequence)
        rows = (
            f"SELECT ref, {sequence}::BIGINT AS lake_sequence FROM {source} "  # noqa: S608
            f"WHERE kind = {literal(kind)} ORDER BY ref"
        )
        count = connection.execute(f"SELECT count(*) FROM ({rows})").fetchone()  # noqa: S608
        if count[0]:
            files.append(
                Written(target, CHANGES, kind, *write_rows(connection, location, target, rows))
            )
    return files


def write_rows(connection: Any, location: Files, path: str, rows: str) -> tuple[int, int]:
    """Write the rows of a SELECT, in its order, as a Parquet file; return (rows, bytes).

    LZ4, since times and refs hardly compress: zstd takes most of the time of a scan, for a sixth of
    the bytes.
    """
    with location.writing(path) as target:
        copied = connection.execute(
            f"COPY ({rows}) TO {literal(target)} (FORMAT parquet, COMPRESSION lz4_raw)"
        ).fetchone()
    return int(copied[0]), location.size(path)
