"""Import sources of one installation, whose jobs a test runs at once."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from innkeeper.actions.bulk import import_sources
from innkeeper.jobs import batches as import_jobs
from innkeeper.jobs import import_sources as jobs
from innkeeper.store.database import Database
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.mapping import mapping_of

HEADER = "email,first_name,changed"
MAPPING = {"columns": {"email": ["email", "identifiers.email"], "first_name": ["firstName"]}}


class Sources:
    """Import sources of one installation, whose jobs run at once."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder

    async def create(
        self, address: str, document: dict[str, Any] | None = MAPPING, **more: Any
    ) -> dict[str, Any]:
        mapping = document and mapping_of("guests", document)
        options = Layout("guests", "csv", compressed=False, mapping=mapping).file_options()
        values = {"name": "shop", "address": address, "entity": "guests", **more}
        async with self.database.work("live", "test") as work:
            return await import_sources.create(work, values, options)

    async def read(self) -> dict[str, Any]:
        """Fetch and import; returns the source afterwards, with the import if there was one."""
        async with self.database.work("live", "test") as work:
            before = await import_sources.fetch(work, "shop")
        await jobs.run(partial(self.database.work, "live"), str(before["ref"]))
        async with self.database.work("live", "test") as work:
            row = await import_sources.fetch(work, "shop")
            if row["import_ref"] != before["import_ref"]:
                await import_jobs.apply(work, str(row["import_ref"]))
                row = await import_sources.fetch(work, "shop")
        return row

    async def rows(self, sql: str) -> list[Any]:
        async with self.database.work("live", "test") as work:
            cursor = await work.connection.execute(sql)
            return [tuple(row.values()) for row in await cursor.fetchall()]

    async def names(self) -> list[str]:
        selected = await self.rows("SELECT body ->> 'first_name' FROM ws_live.guests ORDER BY 1")
        return [name for (name,) in selected]

    async def outcomes(self) -> list[dict[str, int]]:
        """What each import did, oldest first."""
        selected = await self.rows("SELECT outcomes FROM ws_live.batches ORDER BY created_at")
        return [outcomes for (outcomes,) in selected]

    def write(self, name: str, *rows: str, at: int = 0) -> Path:
        path = self.folder / name
        path.write_text("\n".join([HEADER, *rows]) + "\n")
        if at:
            os.utime(path, (at, at))
        return path
