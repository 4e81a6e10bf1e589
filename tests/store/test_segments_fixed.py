"""Twenty fixed segments: the same guests as a query written by hand over the same files."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest
from engines import ENGINES, settings_for

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.filling import fill
from bench.segments import TWENTY, Question, generated, midnight
from innkeeper import clock
from innkeeper.lake.segment_members import Question as GuestQuery
from innkeeper.lake.segment_members import find_members
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.rules.traits import Traits
from innkeeper.store.database import Database


@pytest.fixture(params=ENGINES)
async def lake(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> AsyncIterator[Lake]:
    async with (
        Database(dsn, settings=settings_for(request.param, dsn, tmp_path)) as database,
        database.work("live") as work,
    ):
        await fill(work, generated(clock.now(), 2_000, 20_000, 3_000))
        async with opened(work) as client:
            yield client


def by_hand(lake: Lake, question: Question) -> set[str]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, paths in lake.snapshot.files.items():
            full = [lake.snapshot.location.full(path) for path in paths]
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({full})")
        sql = question.sql.format(day=midnight(lake.snapshot.taken_at))
        return {str(ref) for (ref,) in connection.execute(sql).fetchall()}


async def test_twenty_segments_contain_the_guests_of_a_query_by_hand(lake: Lake) -> None:
    assert len(TWENTY) == 20
    sizes = {}
    for question in TWENTY:
        result = await find_members(lake, GuestQuery.of(question.definition, Traits()))
        assert len(result) == len(set(result))
        assert set(result) == by_hand(lake, question), question.name
        sizes[question.name] = len(result)
    assert all(0 < size < 2_000 for size in sizes.values()), sizes
