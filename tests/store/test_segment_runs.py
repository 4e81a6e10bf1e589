"""Runs of segments that are cut off: kill -9 leaves none "calculating" for ever."""

import asyncio
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from waiting import wait_until

from innkeeper.actions.audiences import segment_questions, segment_runs, segments
from innkeeper.actions.records import guests
from innkeeper.errors import OperatorError
from innkeeper.settings import DUCKDB, SPARK, Settings
from innkeeper.store.database import Database

ENDLESS = (
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 1000000000) "
    "SELECT CAST(max(n) AS VARCHAR) AS guest_ref FROM t"
)
WORKER = """
import asyncio, sys
from pathlib import Path
from innkeeper.actions.audiences import segment_runs
from innkeeper.settings import Settings
from innkeeper.store.database import Database

async def main():
    settings = Settings(database=sys.argv[1], data=Path(sys.argv[2]), sql_segment_seconds=600)
    database = Database(sys.argv[1], settings=settings)
    await database.open()
    async with database.work("live") as work:
        await segment_runs.run(work, "endless")

asyncio.run(main())
"""


async def test_a_run_that_was_killed_has_failed(dsn: str, tmp_path: Path) -> None:
    """Issue 6: a failed run says so, none hangs."""
    settings = Settings(database=dsn, data=tmp_path)
    async with Database(dsn, settings=settings) as database, database.work("live") as work:
        await guests.create(work, {"guest_type": "visitor"})
        segment = await segments.create(work, {"name": "endless", "definition": {"sql": ENDLESS}})
        with subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", WORKER, dsn, str(tmp_path)]
        ) as worker:
            running = await wait_until("the run", lambda: segment_runs.runs(work, segment["ref"]))
            assert (running[0]["state"], running[0]["error"]) == ("RUNNING", None)
            worker.send_signal(signal.SIGKILL)
        # As soon as no run may have lasted so long.
        await asyncio.sleep(0.1)
        work.settings = replace(settings, lake_query_seconds=0.01, sql_segment_seconds=0.01)
        (run,) = await segment_runs.runs(work, segment["ref"])
        assert (run["state"], run["error"]) == ("FAILED", "The run was cut off.")
        assert run["finished_at"] > run["started_at"]
        # And another one is possible at once: the killed one holds nothing.
        again = await segment_runs.run(work, segment["ref"])
        assert again["state"] == "FAILED"
        assert "longer than" in again["error"]


async def test_a_run_names_its_engine(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 6: every run is recorded with its engine; SQL is DuckDB's on every installation."""
    # Spark is chosen and cannot be had: whatever is answered was answered without it.
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    settings = Settings(database=dsn, data=tmp_path, lake_engine=SPARK)
    async with Database(dsn, settings=settings) as database, database.work("live") as work:
        await guests.create(work, {"guest_type": "visitor"})
        typed = {"sql": "SELECT guest_ref FROM guests"}
        segment = await segments.create(work, {"name": "typed", "definition": typed})
        run = await segment_runs.run(work, segment["ref"])
        assert (run["state"], run["engine"], run["rows"]) == ("SUCCESS", DUCKDB, 1)
        assert (await segment_questions.preview(work, typed))["size"] == 1
        rule = {"field": "ref", "comparator": "is not null", "values": []}
        ruled = {"filterGroups": [{"entity": "guest", "rules": [rule]}]}
        segment = await segments.create(work, {"name": "ruled", "definition": ruled})
        with pytest.raises(OperatorError):
            await segment_runs.run(work, segment["ref"])
        (run,) = await segment_runs.runs(work, segment["ref"])
        assert (run["state"], run["engine"]) == ("FAILED", SPARK)
