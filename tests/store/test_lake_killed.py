"""kill -9 at any moment of a flush or a compaction: nothing lost, nothing twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import duckdb
from profiles import LONG
from sqlglot import parse_one

from innkeeper.actions.records import guests
from innkeeper.lake.compaction import ORPHANED, compact
from innkeeper.lake.files import storage
from innkeeper.lake.flush import flush_all
from innkeeper.lake.snapshot import opened
from innkeeper.settings import Settings
from innkeeper.store.database import Database

KILLS = 40 if LONG else 1
WORKER = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from innkeeper.lake.compaction import compact
from innkeeper.lake.flush import flush
from innkeeper.settings import Settings
from innkeeper.store.database import Database

async def main():
    settings = Settings(database=sys.argv[1], data=Path(sys.argv[2]))
    database = Database(sys.argv[1], settings=settings)
    await database.open()
    print("ready", flush=True)
    async with database.work("live") as work:
        while True:
            await flush(work, most=3)
            await compact(work, everything=True, grace=timedelta(0))

asyncio.run(main())
"""


async def test_a_killed_worker_loses_and_doubles_nothing(dsn: str, tmp_path: Path) -> None:
    chance = random.Random(9)
    settings = Settings(database=dsn, data=tmp_path)
    async with Database(dsn, settings=settings) as database:
        existing: list[UUID] = []
        deleted: list[UUID] = []
        async with database.work("live") as work:
            for _ in range(KILLS):
                with subprocess.Popen(  # noqa: ASYNC220
                    [sys.executable, "-c", WORKER, dsn, str(tmp_path)], stdout=subprocess.PIPE
                ) as worker:
                    assert worker.stdout is not None
                    assert worker.stdout.readline() == b"ready\n"
                    for _ in range(chance.randrange(20, 200)):
                        if existing and chance.random() < 0.2:
                            deleted.append(existing.pop())
                            await guests.delete(work, deleted[-1])
                        elif existing and chance.random() < 0.4:
                            await guests.patch(work, chance.choice(existing), {"city": "Sligo"})
                        else:
                            guest = await guests.create(
                                work, {"guest_type": "visitor", "city": "Cork"}
                            )
                            existing.append(guest["ref"])
                    worker.send_signal(signal.SIGKILL)
                cursor = await work.connection.execute(
                    "SELECT ref, body ->> 'city' AS city FROM ws_live.guests"
                )
                result = Counter((row["ref"], row["city"]) for row in await cursor.fetchall())
                async with opened(work) as lake:
                    question = parse_one("SELECT guest_ref, core_city FROM guests")
                    assert Counter(await lake.rows(question)) == result
            place = storage(settings)
            for path, _ in list(place.listed("live")):
                before = time.time() - ORPHANED.total_seconds() - 60
                os.utime(tmp_path / "lake" / path, (before, before))
            # What killed runs left behind is removed once nobody can be writing it any more.
            await compact(work, grace=timedelta(0))
            listed = {row["path"] for row in await work.all("lake.files")}
            assert {path for path, _ in place.listed("live")} == listed
            # Deletions that a kill cut off are applied: nothing of them is in any file.
            await flush_all(work)
            await compact(work, everything=True, grace=timedelta(0))
            files = [place.full(path) for path, _ in place.listed("live")]
            rows = duckdb.sql(f"SELECT meta_ref FROM read_parquet({files}, union_by_name = true)")
            left = {ref for (ref,) in rows.fetchall()}
            assert left == set(existing)
            assert deleted
