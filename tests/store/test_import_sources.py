"""I12: files elsewhere that are imported again, from where they ended."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sources_read import Sources

from innkeeper import clock
from innkeeper.actions.bulk import import_sources
from innkeeper.errors import Conflict, Invalid, OperatorError
from innkeeper.jobs import batches as import_jobs
from innkeeper.jobs import import_sources as jobs
from innkeeper.settings import Settings
from innkeeper.store import downloads
from innkeeper.store.database import Database
from innkeeper.wire.bulk.high_water import HighWaterMark
from innkeeper.wire.bulk.import_sources import changed_values


@pytest.fixture
async def sources(dsn: str, tmp_path: Path) -> AsyncIterator[Sources]:
    settings = Settings(data=tmp_path / "data", import_sources=f"{tmp_path}/in", database=dsn)
    (tmp_path / "in").mkdir()
    async with Database(dsn, settings=settings) as database:
        yield Sources(database, tmp_path / "in")


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


async def test_i12_columns_are_recognised_as_those_of_a_command_are(sources: Sources) -> None:
    """Days are first in the first file, which decides for the second. One in which either may be
    first has no answer."""
    path, header = sources.folder / "customers.csv", "E-Mail,Vorname,Geburtsdatum"
    path.write_text(f"{header}\na@x.example,Ann,03/04/1990\n")
    await sources.create(str(path), None)
    row = await sources.read()
    assert "Geburtsdatum" in row["error"]
    assert "Import such a file once, decide there, and choose its columns here." in row["error"]
    path.write_text(f"{header}\na@x.example,Ann,23/04/1990\n")
    row = await sources.read()
    assert row["error"] is None
    assert row["file_options"]["mapping"]["columns"]["Vorname"] == ["firstName"]
    path.write_text(f"{header}\nb@x.example,Bob,03/04/1990\n")
    assert (await sources.read())["error"] is None
    born = await sources.rows("SELECT body ->> 'date_of_birth' FROM ws_live.guests ORDER BY 1")
    assert born == [("1990-04-03",), ("1990-04-23",)]


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


async def test_i12_a_file_that_comes_late_with_an_older_time_is_imported(sources: Sources) -> None:
    """And one that changed is imported again; a source of an earlier release, which stored only the
    time of its last file, reads none of those before that again."""
    sources.write("2.csv", "bob@example.com,Bob,", at=2000)
    source = await sources.create(f"{sources.folder}/")
    changed = datetime.fromtimestamp(2000, UTC).isoformat()
    await sources.rows(
        "UPDATE ws_live.import_sources SET mark = "
        f"""'{{"changed": "{changed}", "name": "2.csv"}}' RETURNING ref"""
    )
    row = await sources.read()
    assert (row["import_ref"], row["mark"]) == (None, {"name": "2.csv"})
    sources.write("late.csv", "ann@example.com,Ann,", at=1000)
    assert (await sources.read())["mark"]["name"] == "late.csv"
    sources.write("2.csv", "bob@example.com,Robert,", at=3000)
    assert (await sources.read())["mark"]["name"] == "2.csv"
    assert await sources.names() == ["Ann", "Robert"]
    (sources.folder / "late.csv").unlink()
    row = await sources.read()
    count = "SELECT count(*)::integer FROM ws_live.import_source_files WHERE source_ref = "
    assert await sources.rows(f"{count} '{source['ref']}'") == [(2,)]
    with clock.simulated(clock.now() + timedelta(days=31)):
        assert (await sources.read())["import_ref"] == row["import_ref"]
    assert await sources.rows(f"{count} '{source['ref']}'") == [(1,)]


@pytest.mark.parametrize("missing", [1, 2])
async def test_i12_an_incomplete_listing_forgets_no_file(sources: Sources, missing: int) -> None:
    """A folder that is not mounted is empty, a storage may list less; all are back later, and those
    that are back count as listed from then on."""
    paths = [
        sources.write("1.csv", "ann@example.com,Ann,", at=1000),
        sources.write("2.csv", "bob@example.com,Bob,", at=2000),
    ]
    await sources.create(f"{sources.folder}/")
    await sources.read()
    imported = (await sources.read())["import_ref"]
    for days in (0, 20, 40):
        with clock.simulated(clock.now() + timedelta(days=days)):
            away = [path.rename(sources.folder.parent / path.name) for path in paths[:missing]]
            assert (await sources.read())["import_ref"] == imported
            for path in away:
                path.rename(sources.folder / path.name)
            assert (await sources.read())["import_ref"] == imported


async def test_i12_a_source_with_another_address_starts_again(sources: Sources) -> None:
    """With the rest as it was; other changes leave the mark."""
    sources.write("a.csv", "ann@example.com,Ann,5")
    sources.write("b.csv", "bob@example.com,Bob,1")
    await sources.create(f"{sources.folder}/a.csv", mark_column="changed", schedule="DAILY")
    assert (await sources.read())["mark"] == {"value": "5"}

    async def change(**body: Any) -> dict[str, Any]:
        async with sources.database.work("live", "test") as work:
            return await import_sources.change(
                work, "shop", lambda row, problems: changed_values(row, body, problems)
            )

    row = await change(schedule=None)
    assert (row["schedule"], row["next_at"], row["mark"]) == (None, None, {"value": "5"})
    with pytest.raises(Invalid) as refused:
        await change(address="/etc/passwd", schedule="often")
    assert [each.field for each in refused.value.problems] == ["address", "schedule"]
    row = await change(address=f"{sources.folder}/b.csv")
    assert (row["mark"], row["mark_column"]) == ({}, "changed")
    assert (await sources.read())["mark"] == {"value": "1"}
    assert await sources.names() == ["Ann", "Bob"]


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


async def test_i12_run_now_is_queued_or_says_that_it_is_running(sources: Sources) -> None:
    """A run that has begun may have read an older file: no request is dropped without a word."""
    path = sources.write("people.csv", "ann@example.com,Ann,")
    source = await sources.create(str(path))
    async with sources.database.work("live", "test") as work:
        for _ in range(2):
            await import_sources.start(work, "shop")
        await work.connection.execute(
            "UPDATE jobs.procrastinate_jobs SET status = 'doing' WHERE task_name LIKE 'import_s%'"
        )
        with pytest.raises(Conflict, match="Import source shop is being imported: run it again"):
            await import_sources.start(work, "shop")
        await work.connection.execute("DELETE FROM jobs.procrastinate_jobs")
    # Read, and its import not done.
    await jobs.run(partial(sources.database.work, "live"), str(source["ref"]))
    async with sources.database.work("live", "test") as work:
        with pytest.raises(Conflict, match="being imported"):
            await import_sources.start(work, "shop")
        row = await import_sources.fetch(work, "shop")
        await import_jobs.apply(work, str(row["import_ref"]))
        await import_sources.start(work, "shop")


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
