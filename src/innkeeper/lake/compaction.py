"""Compaction: merge the lake's files and drop outdated rows.

Small files of a table are merged, and large ones once there are others of their size. Another file
is rewritten only if it contains outdated rows, or if an earlier version wrote it. When
every table of a kind is free of outdated rows, the kind's files of outdated refs are dropped.
Flushes may run at the same time: a compaction changes only files that were listed when it started.
Replaced files are deleted once no reader uses them.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from innkeeper.lake import duckdb as engine
from innkeeper.lake.files import new_path, storage
from innkeeper.lake.flush import Written, write_rows
from innkeeper.lake.locks import COMPACT, alone, readers_lock
from innkeeper.lake.tables import CHANGES, FORMAT_VERSION, KINDS, TABLES, LakeTable
from innkeeper.store.files import Files
from innkeeper.store.work import Row, Work

log = logging.getLogger(__name__)

SMALL_ROWS: Final = 1_000_000
"""Files with fewer rows are merged."""
GROWTH: Final = 2
LARGEST_ROWS: Final = 16_000_000
"""Most rows of a file that several large ones are merged into."""
MANY_FILES: Final = 12
"""Number of files of one table at which its kind is compacted."""
GRACE: Final = timedelta(minutes=1)
"""Shortest time that a dropped file remains, for a reader that has listed it but not yet taken its
lock."""
ORPHANED: Final = timedelta(hours=1)
"""Age at which a file that no list names counts as left by a killed run."""


@dataclass(frozen=True)
class Compacted:
    """The result of a compaction."""

    read: int
    written: int
    dropped: int


async def compact(
    work: Work, *, everything: bool = False, grace: timedelta = GRACE
) -> Compacted | None:
    """Compact the kinds that need it, or all with outdated rows; None if another process is
    compacting."""
    async with alone(work, COMPACT, wait=False) as ours:
        if not ours:
            return None
        files = await work.all("lake.files")
        done = Compacted(0, 0, 0)
        fault: Exception | None = None
        for kind in KINDS:
            of_kind = [file for file in files if file["kind"] == kind]
            try:
                if _due(of_kind, everything):
                    done = _sum(done, await _compact_kind(work, kind, of_kind))
            except Exception as error:
                # The files of this kind do not change; the other kinds are compacted.
                log.exception("files of %s cannot be compacted", kind)
                fault = fault or error
        done = _sum(done, Compacted(0, 0, await sweep(work, grace)))
        if fault is not None:
            raise fault
        return done


def _due(files: Sequence[Row], everything: bool) -> bool:
    if everything and any(file["name"] == CHANGES for file in files):
        return True
    if any(map(_is_outdated, files)):
        return True
    return any(
        len(group) >= (2 if everything or group[-2]["rows"] >= SMALL_ROWS else MANY_FILES)
        for table in TABLES
        for group in _groups([file for file in files if file["name"] == table.name])
        if len(group) > 1
    )


async def _compact_kind(work: Work, kind: str, files: Sequence[Row]) -> Compacted:
    location = storage(work.settings)
    state = await work.row("lake.state", most=1)
    old = [file["path"] for file in files if file["name"] == CHANGES]
    prefix = (work.workspace, state["folder"])
    replaced, written = await asyncio.to_thread(
        engine.run_maintenance,
        work.settings,
        location,
        lambda lent: _rewrite(lent, location, kind, files, old, prefix),
    )
    if not replaced:
        return Compacted(0, 0, 0)
    async with work.transaction():
        row = await work.one("lake.compacted")
        for sequence, file in written:
            await work.run("lake.add_file", sequence=sequence, **vars(file))
        generation = row["generation"] if row else 0
        await work.run("lake.drop_files", paths=replaced, generation=generation)
    return Compacted(len(replaced), len(written), 0)


def _rewrite(
    connection: Any,
    location: Files,
    kind: str,
    files: Sequence[Row],
    old: Sequence[str],
    prefix: tuple[str, Any],
) -> tuple[list[str], list[tuple[int, Written]]]:
    """Write the current rows of the files of a kind; return (replaced paths, new files)."""
    replaced, files_written = list(old), []
    if old:
        connection.execute(
            "CREATE TEMP TABLE old AS SELECT ref, max(sequence) AS sequence "  # noqa: S608
            f"FROM ({engine.changed_refs([location.full(path) for path in old])}) GROUP BY ref"
        )
    for table in TABLES:
        if table.kind != kind:
            continue
        for group in _groups([file for file in files if file["name"] == table.name]):
            if (
                len(group) == 1
                and not _is_outdated(group[0])
                and not (old and _holds_old(connection, location, table, group))
            ):
                continue
            replaced += [file["path"] for file in group]
            sequence = max(file["sequence"] for file in group)
            target = new_path(*prefix, table.name, sequence)
            rows = _rows(connection, location, table, group, bool(old))
            written = Written(
                target, table.name, kind, *write_rows(connection, location, target, rows)
            )
            if written.rows:
                files_written.append((sequence, written))
            else:
                location.remove(target)
    return replaced, files_written


def _groups(files: Sequence[Row]) -> list[list[Row]]:
    """Group the files of a table that are merged into one: all small ones, and a larger one if it
    has at most `GROWTH` times the rows of the smaller ones in its group. So the number of files,
    and how often a row is rewritten, grow with the logarithm of the rows."""
    groups: list[list[Row]] = []
    total = 0
    for file in sorted(files, key=lambda each: int(each["rows"])):
        rows = int(file["rows"])
        joins = rows <= GROWTH * total and total + rows <= LARGEST_ROWS
        if groups and (rows < SMALL_ROWS or joins):
            groups[-1].append(file)
            total += rows
        else:
            groups.append([file])
            total = rows
    return groups


def _is_outdated(file: Row) -> bool:
    """Whether an earlier version of Innkeeper wrote a file, in another format."""
    return file["name"] != CHANGES and int(file["format_version"]) < FORMAT_VERSION


def _holds_old(connection: Any, location: Files, table: LakeTable, group: Sequence[Row]) -> bool:
    rows = engine.file_rows(connection, table, [location.full(file["path"]) for file in group])
    row = connection.execute(
        f"SELECT EXISTS (SELECT 1 FROM ({rows}) AS f "  # noqa: S608
        f"JOIN old AS o ON o.ref = f.{table.owner} AND o.sequence > f.lake_sequence)"
    ).fetchone()
    return bool(row[0])


def _rows(
    connection: Any, location: Files, table: LakeTable, group: Sequence[Row], old: bool
) -> str:
    """SELECT the current rows of some files, sorted."""
    paths = [location.full(file["path"]) for file in group]
    sql = f"SELECT f.* FROM ({engine.file_rows(connection, table, paths)}) AS f"  # noqa: S608
    if old:
        sql += f" LEFT JOIN old AS o ON o.ref = f.{table.owner}"
        sql += " WHERE o.sequence IS NULL OR o.sequence <= f.lake_sequence"
    return f"{sql} ORDER BY {', '.join(f'f.{name}' for name in table.sort)}"


async def sweep(work: Work, grace: timedelta = GRACE) -> int:
    """Delete dropped files without readers, and files left by killed runs; return how many."""
    location = storage(work.settings)
    dropped = await work.all("lake.dropped", grace=grace)
    free: list[str] = []
    for generation in sorted({row["generation"] for row in dropped}):
        number = readers_lock(work, generation)
        row = await work.one("lake.try_lock", lock=number)
        if row is None or not row["ours"]:
            # A query is reading files of that generation, and perhaps of later ones.
            break
        await work.one("lake.unlock", lock=number)
        free += [row["path"] for row in dropped if row["generation"] == generation]
    if free:
        await asyncio.to_thread(location.remove, *free)
        await work.run("lake.forget_dropped", paths=free)
    return len(free) + await _remove_orphans(work, location)


async def _remove_orphans(work: Work, location: Files) -> int:
    """List files in the workspace's folder that no list names: left by killed runs or by a
    reset."""
    listed = {row["path"] for row in await work.all("lake.files")}
    listed |= {row["path"] for row in await work.all("lake.dropped", grace=timedelta(0))}
    before = datetime.now(UTC) - ORPHANED
    present = await asyncio.to_thread(list, location.listed(work.workspace))
    # A file may have been listed since, so read the lists again after the folder.
    listed |= {row["path"] for row in await work.all("lake.files")}
    orphans = [path for path, written in present if path not in listed and written < before]
    if orphans:
        log.warning("removed %d files that a killed run left in the lake", len(orphans))
        await asyncio.to_thread(location.remove, *orphans)
    return len(orphans)


def _sum(one: Compacted, other: Compacted) -> Compacted:
    return Compacted(
        one.read + other.read, one.written + other.written, one.dropped + other.dropped
    )


async def rebuild(work: Work) -> None:
    """Rewrite the lake from the store, after its files were lost or a backup was restored."""
    async with alone(work, COMPACT), work.transaction():
        await work.run("lake.refill")


async def erase(work: Work, grace: timedelta = timedelta(0)) -> Compacted | None:
    """Remove deleted guests from all files: flush the deletions, then write files without the
    guests."""
    from innkeeper.lake.flush import flush_all  # noqa: PLC0415

    await flush_all(work)
    return await compact(work, everything=True, grace=grace)


async def status(work: Work) -> dict[str, Any]:
    """Return the tables with their files, rows (including outdated ones) and bytes."""
    state = await work.row("lake.state", most=1_000_000)
    tables: dict[str, dict[str, Any]] = {}
    for file in await work.all("lake.files"):
        table = tables.setdefault(
            file["name"], {"name": file["name"], "files": 0, "rows": 0, "bytes": 0}
        )
        table["files"] += 1
        table["rows"] += file["rows"]
        table["bytes"] += file["bytes"]
    return {
        "place": storage(work.settings).full(f"{work.workspace}/{state['folder']}"),
        "sequence": state["sequence"],
        "waiting": state["waiting"],
        "flushed_at": state["flushed_at"],
        "compacted_at": state["compacted_at"],
        "tables": list(tables.values()),
    }
