"""The lake against a real PostgreSQL: nothing lost, nothing twice, nothing erased that stays."""

import asyncio
import os
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import duckdb
import pytest
from demo_shop import load_demo
from sqlglot import parse_one

from innkeeper.actions.records import guests
from innkeeper.actions.records.extensions import OF_GUESTS
from innkeeper.errors import Unavailable
from innkeeper.lake.compaction import SMALL_ROWS, _groups, compact, erase, rebuild
from innkeeper.lake.files import storage
from innkeeper.lake.flush import flush, flush_all
from innkeeper.lake.snapshot import opened
from innkeeper.lake.tables import FORMAT_VERSION
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.work import Work


async def ask(work: Work, sql: str) -> list[tuple[object, ...]]:
    async with opened(work) as lake:
        return await lake.rows(parse_one(sql, dialect="duckdb"))


async def cities(work: Work) -> dict[str, str | None]:
    return dict(await ask(work, "SELECT CAST(guest_ref AS VARCHAR), core_city FROM guests"))


async def truth(work: Work) -> dict[str, str | None]:
    """The same from the primary store."""
    cursor = await work.connection.execute(
        "SELECT ref::text, body ->> 'city' AS city FROM ws_live.guests"
    )
    return {row["ref"]: row["city"] for row in await cursor.fetchall()}


async def guest(work: Work, **fields: object) -> UUID:
    return (await guests.create(work, {"guest_type": "visitor", **fields}))["ref"]


def bytes_of(database: Database) -> bytes:
    folder = Path(storage(database.settings).root)
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def test_a_question_sees_what_was_just_committed(work: Work) -> None:
    ref = await guest(work, city="Cork")
    assert await cities(work) == {str(ref): "Cork"}
    await flush(work)
    assert await cities(work) == {str(ref): "Cork"}
    await guests.patch(work, ref, {"city": "Galway"})
    assert await cities(work) == {str(ref): "Galway"}
    await guests.delete(work, ref)
    assert await cities(work) == {}
    await flush(work)
    assert await cities(work) == {}


async def test_any_row_of_changes_flushes_and_compactions_shows_the_store(work: Work) -> None:
    chance = random.Random(7)
    existing: list[UUID] = []
    for _ in range(60):
        match chance.randrange(6):
            case 0 | 1:
                existing.append(await guest(work, city=chance.choice(["Cork", "Sligo"])))
            case 2 if existing:
                await guests.patch(work, chance.choice(existing), {"city": uuid4().hex})
            case 3 if existing:
                await guests.delete(work, existing.pop(chance.randrange(len(existing))))
            case 4:
                await flush(work, most=chance.choice([1, 2, 100]))
            case 5:
                await compact(work, everything=True, grace=timedelta(0))
        if chance.random() < 0.3:
            assert await cities(work) == await truth(work)
    assert await cities(work) == await truth(work)
    await flush_all(work)
    await compact(work, everything=True, grace=timedelta(0))
    assert await cities(work) == await truth(work)
    files = await work.all("lake.files")
    assert [file["name"] for file in files] == ["guests"]


async def test_flushes_in_chunks_keep_a_root_that_spans_them(work: Work) -> None:
    ref = await guest(work, city="Cork")
    for number in range(5):
        await guests.patch(work, ref, {"city": str(number)})
    for _ in range(6):
        await flush(work, most=1)
        assert await cities(work) == {str(ref): "4"}


async def test_a_transaction_that_commits_late_is_not_lost(database: Database, work: Work) -> None:
    """A change's place in the feed is taken before its commit: order must not matter."""
    early = asyncio.Event()
    go_on = asyncio.Event()

    async def slow() -> None:
        async with database.work("live") as other, other.transaction():
            await guest(other, city="late")
            early.set()
            await go_on.wait()

    task = asyncio.create_task(slow())
    await early.wait()
    await guest(work, city="soon")
    await flush(work)
    assert sorted((await cities(work)).values(), key=str) == ["soon"]
    go_on.set()
    await task
    assert sorted((await cities(work)).values(), key=str) == ["late", "soon"]
    await flush(work)
    assert sorted((await cities(work)).values(), key=str) == ["late", "soon"]


async def test_a_failed_flush_changes_nothing(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    await guest(work, city="Cork")
    from innkeeper.lake import flush as module

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_rows", full)
        with pytest.raises(OSError, match="no space"):
            await flush(work)
    assert list((await cities(work)).values()) == ["Cork"]
    assert (await flush(work)).changes == 1
    assert list((await cities(work)).values()) == ["Cork"]


async def test_two_flushes_at_once_take_each_change_once(database: Database, work: Work) -> None:
    for number in range(20):
        await guest(work, city=str(number))

    async def one() -> None:
        async with database.work("live") as other:
            await flush(other, most=7)

    await asyncio.gather(*(one() for _ in range(4)))
    assert await cities(work) == await truth(work)
    rows = await ask(work, "SELECT count(*) FROM guests")
    assert rows == [(20,)]


async def test_erased_bytes_are_removed_from_the_files(database: Database, work: Work) -> None:
    """segmentation-and-export.md 5, issue 6: deletions are applied, so the bytes are gone."""
    mark = uuid4().hex
    ref = await guest(work, last_name=mark, emails=[f"{mark}@example.com"])
    stays = await guest(work, last_name="Stays")
    await OF_GUESTS.create(
        work, guest=ref, changes={"name": "ext", "pairs": {"a": mark}, "single": False}
    )
    await flush(work)
    assert mark in "".join(map(str, await ask(work, "SELECT core_last_name FROM guests")))
    assert ref.bytes in bytes_of(database)
    await guests.delete(work, ref)
    await erase(work)
    left = bytes_of(database)
    assert mark.encode() not in left
    assert ref.bytes not in left
    assert list(await cities(work)) == [str(stays)]


async def test_a_file_stays_while_a_question_reads_it(database: Database, work: Work) -> None:
    ref = await guest(work, city="Cork")
    await flush(work)
    async with database.work("live") as other, opened(other) as lake:
        await guests.patch(work, ref, {"city": "Sligo"})
        await flush(work)
        await compact(work, everything=True, grace=timedelta(0))
        rows = await lake.rows(parse_one("SELECT core_city FROM guests"))
        assert rows == [("Cork",)]
        assert len(await work.all("lake.dropped", grace=timedelta(0))) > 0
    await compact(work, everything=True, grace=timedelta(0))
    assert await work.all("lake.dropped", grace=timedelta(0)) == []


async def test_values_of_an_extension_keep_their_types(work: Work) -> None:
    """An extension key with mixed types keeps every value, typed."""
    for value in ("5", 5, True):
        ref = await guest(work)
        await OF_GUESTS.create(
            work, guest=ref, changes={"name": "ext", "pairs": {"tier": value}, "single": False}
        )
    sql = "SELECT value, number, truth, value_type FROM extensions WHERE key = 'tier' ORDER BY 4"
    expected = [
        ("true", None, True, "boolean"),
        ("5", 5.0, None, "number"),
        ("5", None, None, "string"),
    ]
    assert await ask(work, sql) == expected
    await flush(work)
    assert await ask(work, sql) == expected


async def test_any_engine_reads_the_files_by_the_vendors_names(
    database: Database, work: Work
) -> None:
    """segmentation-and-export.md 3: Parquet of guests, orders, order items, sessions and events,
    the whole history, with the columns of identity.md 8."""
    await load_demo(database, 5)
    await flush_all(work)
    await compact(work, everything=True, grace=timedelta(0))
    folder = Path(storage(database.settings).root) / "live"
    meta = ["meta_ref", "meta_created_at", "meta_modified_at", "type"]
    named = {
        "guests": [*meta, "core_first_seen_at", "core_last_seen_at"],
        "sessions": [*meta, "guest_ref", "browser_ref", "core_channel", "core_currency_code"],
        "events": [*meta, "core_channel", "core_currency_code", "core_language", "core_page"],
        "orders": ["meta_ref", "guest_ref", "core_ordered_at", "core_price"],
        "order_items": ["meta_ref", "type", "order_ref", "core_quantity"],
    }
    for table, columns in named.items():
        rows = duckdb.sql(f"SELECT {', '.join(columns)} FROM '{folder}/*/{table}/*.parquet'")
        cursor = await work.connection.execute(f"SELECT count(*) AS n FROM ws_live.{table}")
        counted = await cursor.fetchone()
        assert counted is not None
        assert len(rows.fetchall()) == counted["n"] > 0, table
    events = duckdb.sql(f"SELECT core_point_of_sale FROM '{folder}/*/events/*.parquet'")
    assert all(place for (place,) in events.fetchall())


async def test_a_rebuilt_lake_holds_the_same(work: Work) -> None:
    for number in range(3):
        await guest(work, city=str(number))
    await flush(work)
    before = await cities(work)
    await rebuild(work)
    assert await cities(work) == before
    await flush(work)
    assert await cities(work) == before
    assert len(await work.all("lake.files")) == 1


async def test_a_reset_sandbox_has_an_empty_lake(database: Database) -> None:
    from innkeeper.actions.admin import workspaces

    async with database.work("live_sandbox") as sandbox:
        await guest(sandbox, city="Cork")
        await flush(sandbox)
    async with database.control() as control:
        await workspaces.reset(control, "live_sandbox")
    async with database.work("live_sandbox") as sandbox:
        assert await cities(sandbox) == {}


async def test_a_question_that_takes_too_long_is_cut_off(work: Work) -> None:
    async with opened(work) as lake:
        slow = parse_one("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")
        with pytest.raises(Unavailable, match="longer than"):
            await lake.rows(slow, 0.2)


async def test_the_lake_may_be_in_any_storage(dsn: str, tmp_path: Path) -> None:
    """Location through fsspec: the same over object storage as in a folder."""
    settings = Settings(database=dsn, data=tmp_path, lake=f"memory://{uuid4().hex}")
    async with Database(dsn, settings=settings) as database, database.work("live") as work:
        ref = await guest(work, city="Cork")
        await flush(work)
        await guests.patch(work, ref, {"city": "Sligo"})
        await flush(work)
        assert await cities(work) == {str(ref): "Sligo"}
        await compact(work, everything=True, grace=timedelta(0))
        assert await cities(work) == {str(ref): "Sligo"}
        paths = [path for path, _ in storage(settings).listed("live")]
        assert len(paths) == 1


async def test_columns_that_came_later_are_null_in_older_files(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    from innkeeper.lake import flush as module
    from innkeeper.lake.tables import BY_NAME, GUESTS

    older = replace(
        GUESTS, columns=tuple(each for each in GUESTS.columns if each.name != "core_city")
    )
    await guest(work, city="Cork")
    with monkeypatch.context() as patch:
        patch.setattr(module, "BY_NAME", {**BY_NAME, "guests": older})
        await flush(work)
    await guest(work, city="Sligo")
    assert sorted((await cities(work)).values(), key=str) == [None, "Sligo"] or sorted(
        (await cities(work)).values(), key=str
    ) == ["Sligo", None]
    await flush(work)
    await compact(work, everything=True, grace=timedelta(0))
    assert set((await cities(work)).values()) == {None, "Sligo"}
    assert SMALL_ROWS > 2


async def test_files_of_the_first_format_are_read_and_rewritten(work: Work) -> None:
    """Until 0.1.0 refs were text; rows of several files were in the order of types and times."""
    one, other = await guest(work, city="Cork"), await guest(work, city="Sligo")
    await flush(work)
    (file,) = await work.all("lake.files")
    path = storage(work.settings).full(file["path"])
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * REPLACE (meta_ref::VARCHAR AS meta_ref, survivor_ref::VARCHAR AS "
            f"survivor_ref) FROM read_parquet('{path}')) TO '{path}.old' (FORMAT parquet)"
        )
    await asyncio.to_thread(os.replace, f"{path}.old", path)
    await work.connection.execute("UPDATE ws_live.lake_files SET format_version = 1")
    assert await cities(work) == await truth(work)
    await guests.patch(work, one, {"city": "Galway"})
    assert await cities(work) == await truth(work)
    await flush(work)
    third = await guest(work, city="Lyon")
    assert await cities(work) == {str(one): "Galway", str(other): "Sligo", str(third): "Lyon"}
    await compact(work)
    assert await cities(work) == await truth(work)
    assert [row["format_version"] for row in await work.all("lake.files")] == [FORMAT_VERSION]
    (file,) = await work.all("lake.files")
    types = duckdb.sql(f"DESCRIBE FROM '{storage(work.settings).full(file['path'])}'").fetchall()
    assert {kind for name, kind, *_ in types if name.endswith("_ref")} == {"UUID"}


def test_large_files_are_merged_once_there_are_others_of_their_size() -> None:
    def sizes(*rows: int) -> list[list[int]]:
        groups = _groups([{"rows": each} for each in rows])
        return [[each["rows"] for each in group] for group in groups]

    million = 1_000_000
    assert sizes(5, 10, 999_999) == [[5, 10, 999_999]]
    assert sizes(7 * million, 5, 10) == [[5, 10], [7 * million]]
    assert sizes(3 * million, million, 600_000) == [[600_000, million, 3 * million]]
    assert sizes(*[million] * 10) == [[million] * 10]
    assert sizes(16 * million, million) == [[million], [16 * million]]


async def test_records_too_long_for_the_small_memory_are_flushed_all_the_same(
    dsn: str, tmp_path: Path
) -> None:
    settings = Settings(database=dsn, data=tmp_path, lake_maintenance_mb=64, lake_memory_mb=256)
    async with Database(dsn, settings=settings) as database, database.work("live") as work:
        for number in range(150):
            await guest(work, city=str(number), street=["long " * 50] * 250)
        assert (await flush(work)).changes
        assert len(await cities(work)) == 150
