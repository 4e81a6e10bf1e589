"""F4: Live segments look again at the guests of their queue though nothing else changed."""

from pathlib import Path

import pytest

from innkeeper.actions.audiences import segment_runs, segments
from innkeeper.actions.records import guests
from innkeeper.jobs import lake
from innkeeper.settings import Settings
from innkeeper.store.database import Database

_ANN = {"field": "firstName", "comparator": "is equal to", "values": ["Ann"]}
_DEFINITION = {"filterGroups": [{"entity": "guest", "rules": [_ANN]}]}


async def test_f4_guests_are_looked_at_though_nothing_was_written(dsn: str, tmp_path: Path) -> None:
    """Issue F4: a tick of the job brings Live segments up to date by itself."""
    settings = Settings(database=dsn, data=tmp_path)
    async with Database(dsn, settings=settings) as database, database.work("live") as work:
        guest = await guests.create(work, {"guest_type": "customer", "first_name": "Ann"})
        await segments.create(work, {"name": "ann", "definition": _DEFINITION})
        await work.connection.execute("UPDATE ws_live.segments SET status = 'LIVE'")
        await segment_runs.refresh(work)
        await work.connection.execute("DELETE FROM ws_live.segment_members")
        await work.connection.execute(
            "INSERT INTO ws_live.segment_queue (guest_ref) VALUES (%s)", [guest["ref"]]
        )
        await work.connection.execute("UPDATE ws_live.lake_state SET flushed_at = NULL")
        assert await segments.of_guest(work, guest["ref"]) == []
        await lake.flush(work)
        (result,) = await segments.of_guest(work, guest["ref"])
        assert result["name"] == "ann"
        row = await work.one("lake.waiting")
        assert row is not None
        assert (row["waiting"], row["touched"]) == (False, False)


@pytest.mark.parametrize(
    ("flushed_ago", "started_ago", "status", "is_flushed"),
    [
        (10, 40, "DRAFT", False),
        (40, 10, "DRAFT", False),
        (31, 31, "DRAFT", True),
        (10, 10, "LIVE", True),
    ],
)
async def test_an_import_delays_flushes_while_no_segment_is_live(
    database: Database, flushed_ago: int, started_ago: int, status: str, is_flushed: bool
) -> None:
    async with database.work("live") as work:
        await guests.create(work, {"guest_type": "customer"})
        await segments.create(work, {"name": "ann", "definition": _DEFINITION})
        await work.connection.execute(f"UPDATE ws_live.segments SET status = '{status}'")
        await work.connection.execute(
            "INSERT INTO ws_live.batches"
            " (ref, entity, state, file_options, actor, created_at, modified_at)"
            " VALUES (gen_random_uuid(), 'guests', 'processing', '{}', 'test',"
            f" now() - interval '{started_ago} seconds', now())"
        )
        await work.connection.execute(
            f"UPDATE ws_live.lake_state SET flushed_at = now() - interval '{flushed_ago} seconds'"
        )
        await lake.flush(work)
        row = await work.one("lake.waiting")
        assert row is not None
        assert row["waiting"] is not is_flushed
    await database.close()
