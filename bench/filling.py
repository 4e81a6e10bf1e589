"""Putting generated rows into the lake of a workspace, as files that a flush might have written."""

import asyncio
from typing import Any

from innkeeper.lake import duckdb as engine
from innkeeper.lake.compaction import compact
from innkeeper.lake.files import new_path, storage
from innkeeper.lake.flush import write_rows
from innkeeper.lake.tables import BY_NAME, SEQUENCE
from innkeeper.store.work import Work


async def fill_compacted(work: Work, rows: dict[str, list[str]]) -> int:
    """Fill, and merge files as background jobs do; how many bytes they have afterwards."""
    await fill(work, rows)
    await compact(work, everything=True)
    return sum(int(file["bytes"]) for file in await work.all("lake.files"))


async def fill(work: Work, rows: dict[str, list[str]]) -> int:
    """Write and list files of the rows of tables, SELECTs by table; how many bytes they have."""
    place = storage(work.settings)
    row = await work.one("lake.state", most=1)
    assert row is not None
    total = 0

    def write(name: str, select: str) -> tuple[str, int, int]:
        table = BY_NAME[name]
        empty = engine.typed_rows(table, None, 0)
        columns = ", ".join(
            f"f.{column.name}::{column.type} AS {column.name}" for column in table.columns
        )
        query = (
            f"SELECT {columns}, 0::{SEQUENCE.type} AS {SEQUENCE.name} FROM "
            f"({select} UNION ALL BY NAME {empty}) AS f ORDER BY {', '.join(table.sort)}"
        )
        path = new_path(work.workspace, row["folder"], name, 0)
        with engine.connected(work.settings, place) as connection:
            written = write_rows(connection, place, path, query)
        return path, *written

    for name, selects in rows.items():
        for select in selects:
            path, count, size = await asyncio.to_thread(write, name, select)
            total += size
            expected: dict[str, Any] = {"kind": BY_NAME[name].kind, "sequence": 0}
            await work.run(
                "lake.add_file", path=path, name=name, rows=count, bytes=size, **expected
            )
    return total
