"""I12: files elsewhere that are imported again, from where they ended."""

import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from innkeeper import clock
from innkeeper.actions.bulk import import_sources
from innkeeper.errors import Conflict, Invalid, OperatorError
from innkeeper.jobs import batches as import_jobs
from innkeeper.jobs import import_sources as jobs
from innkeeper.settings import Settings
from innkeeper.store import downloads
from innkeeper.store.database import Database
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.high_water import HighWaterMark
from innkeeper.wire.bulk.mapping import mapping_of

pytestmark = pytest.mark.anyio
HEADER = "email,first_name,changed"
MAPPING = {"columns": {"email": ["email", "identifiers.email"], "first_name": ["firstName"]}}


class Sources:
    """Import sources of one installation, whose jobs run at once."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder

    async def create(self, address: str, **more: Any) -> dict[str, Any]:
        mapping = mapping_of("guests", MAPPING)
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


@pytest.fixture
async def sources(dsn: str, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Sources]:
    settings = Settings(data=tmp_path / "data", import_sources=f"{tmp_path}/in", database=dsn)
    (tmp_path / "in").mkdir()
    database = Database(dsn, settings=settings)
    await database.open()
    yield Sources(database, tmp_path / "in")
    await database.close()


async def test_i12_only_rows_past_the_mark_are_imported(sources: Sources) -> None:
    """A row with the greatest value itself is read again: another one may have come since."""
    ann, bob = "ann@example.com,Ann,2026-01-01", "bob@example.com,Bob,2026-01-02T10:00:00Z"
    path = sources.write("people.csv", bob, ann)
    await sources.create(str(path), mark_column="changed")
    row = await sources.read()
    assert (row["mark"], row["error"]) == ({"value": "2026-01-02T10:00:00Z"}, None)
    sources.write(
        *("people.csv", "ann@example.com,Changed,2026-01-01", bob),
        *("cat@example.com,Cat,2026-01-02T10:00:00.000Z", "dan@example.com,Dan,2026-02-01"),
    )
    row = await sources.read()
    assert row["mark"] == {"value": "2026-02-01"}
    assert await sources.names() == ["Ann", "Bob", "Cat", "Dan"]
    assert await sources.outcomes() == [{"created": 2}, {"created": 2, "unchanged": 1}]


async def test_i12_a_source_that_cannot_be_read_says_why_and_is_tried_again(
    sources: Sources,
) -> None:
    """Nothing of a file that was half read counts: neither its rows nor its mark."""
    path = sources.folder / "people.csv"
    await sources.create(str(path), mark_column="changed", schedule="0 * * * *")
    row = await sources.read()
    assert (row["error"], row["attempts"], row["mark"]) == ("It is not there.", 1, {})
    assert row["next_attempt_at"] > clock.now()
    sources.write("people.csv", "ann@example.com,Ann,2026-01-01", 'bob@example.com,"Bob,2026-01-02')
    row = await sources.read()
    assert "a quote opens a cell and is never closed" in row["error"]
    assert (row["attempts"], row["mark"]) == (2, {})
    assert await sources.names() == []
    sources.write("people.csv", "ann@example.com,Ann,soon")
    row = await sources.read()
    assert "neither a number nor a date" in row["error"]
    sources.write("people.csv", "ann@example.com,Ann,2026-01-01")
    row = await sources.read()
    state = (row["error"], row["attempts"], row["next_attempt_at"], row["mark"])
    assert state == (None, 0, None, {"value": "2026-01-01"})
    assert await sources.names() == ["Ann"]


async def test_i12_a_failed_import_moves_no_mark(sources: Sources) -> None:
    """The file goes between the fetch and the import."""
    path = sources.write("people.csv", "ann@example.com,Ann,1")
    source = await sources.create(str(path), mark_column="changed")
    await jobs.run(partial(sources.database.work, "live"), str(source["ref"]))
    async with sources.database.work("live", "test") as work:
        row = await import_sources.fetch(work, "shop")
        assert row["pending_mark"] == {"value": "1"}
        for stored in (sources.database.settings.data / "files").rglob("uploads/*"):
            stored.unlink()
        await import_jobs.apply(work, str(row["import_ref"]))
        row = await import_sources.fetch(work, "shop")
    assert row["mark"] == {}
    assert "no longer in storage" in row["error"]
    assert (await sources.read())["mark"] == {"value": "1"}


async def test_i12_new_files_below_a_prefix_are_imported_once_and_in_order(
    sources: Sources,
) -> None:
    sources.write("2.csv", "bob@example.com,Bob,", at=1000)
    sources.write("1.csv", "ann@example.com,Ann,", at=2000)
    await sources.create(f"{sources.folder}/")
    assert (await sources.read())["mark"]["name"] == "2.csv"
    assert await sources.names() == ["Bob"]
    row = await sources.read()
    assert row["mark"]["name"] == "1.csv"
    assert (await sources.read())["import_ref"] == row["import_ref"]
    sources.write("0.csv", "cat@example.com,Cat,", at=3000)
    await sources.read()
    assert await sources.names() == ["Ann", "Bob", "Cat"]
    assert await sources.outcomes() == [{"created": 1}] * 3


async def test_i12_a_prefix_with_too_many_files_is_refused(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders are listed in no order: past the limit new files would be left out without a word."""
    monkeypatch.setattr(downloads, "MOST_FILES", 1)
    sources.write("1.csv", "ann@example.com,Ann,")
    sources.write(".hidden", "bob@example.com,Bob,")
    await sources.create(f"{sources.folder}/")
    assert (await sources.read())["mark"]["name"] == "1.csv"
    sources.write("2.csv", "cat@example.com,Cat,")
    row = await sources.read()
    assert row["error"] == "It has more than 1 files: move imported ones away."
    assert await sources.names() == ["Ann"]


async def test_i12_a_schedule_queues_a_source_once(sources: Sources) -> None:
    """The same schedules as those of exports, in UTC."""
    source = await sources.create(f"{sources.folder}/people.csv", schedule="DAILY")
    assert (source["next_at"].hour, source["next_at"].minute) == (0, 30)
    async with sources.database.work("live", "test") as work:
        assert await import_sources.start_due(work) == 0
        await work.connection.execute(
            "UPDATE ws_live.import_sources SET next_at = now() - interval '1 s'"
        )
        for _ in range(2):
            # Due until it was read, so that a lost job is queued again.
            assert await import_sources.start_due(work) == 1
        row = await import_sources.fetch(work, "shop")
        assert row["next_at"] == source["next_at"]
    queued = await sources.rows(
        "SELECT args ->> 'source' FROM jobs.procrastinate_jobs WHERE task_name LIKE 'import_s%'"
    )
    assert queued == [(str(source["ref"]),)]


async def test_i12_what_an_import_source_may_be(sources: Sources) -> None:
    with pytest.raises(Invalid) as refused:
        await sources.create("/etc/passwd", schedule="daily at noon")
    assert [each.field for each in refused.value.problems] == ["address", "schedule"]
    with pytest.raises(Invalid, match="must be a public address"):
        await sources.create("http://169.254.169.254/latest")
    await sources.create("daily/people.csv")
    with pytest.raises(Conflict):
        await sources.create("daily/people.csv")
    async with sources.database.work("live", "test") as work:
        await import_sources.delete(work, "shop")
        assert await import_sources.list_all(work) == []


def test_i12_the_greatest_value_of_a_column() -> None:
    """Numbers and dates are compared as such, not as texts; a row without a value is always new."""
    rows = [(1, {"n": "9"}), (2, b'{"n": 10}'), (3, {"n": ""}), (4, {"n": "2.5"})]
    assert HighWaterMark("n").greatest(rows) == ("10", 4)
    assert list(HighWaterMark("n", "9").newer(rows)) == rows[:3]
    assert list(HighWaterMark("n", "9", is_inclusive=False).newer(rows)) == rows[1:3]
    with pytest.raises(OperatorError, match="numbers and dates"):
        HighWaterMark("n", "2026-01-01").greatest(rows)
