"""F4: Live segments look again at guests whose sums are others by the rule about refunds."""

import asyncio
import json
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from innkeeper.actions.audiences import segment_runs, segments
from innkeeper.actions.records import guests
from innkeeper.jobs import lake
from innkeeper.settings import Settings
from innkeeper.store import migrate
from innkeeper.store.database import Database

MIGRATION = "refunds_in_segments"


def put(connection: psycopg.Connection, survivor: UUID | None, order: dict[str, object]) -> UUID:
    """A guest with one order; its ref."""
    guest, ref = uuid4(), uuid4()
    connection.execute(
        "INSERT INTO ws_live.guests (ref, guest_type, body, first_seen, last_seen, created_at, "
        "modified_at, survivor_ref) VALUES (%s, 'customer', '{}', now(), now(), now(), now(), %s)",
        [guest, survivor],
    )
    connection.execute(
        "INSERT INTO ws_live.orders (ref, reference_id, reference_key, ordered_at, body, "
        "created_at, modified_at) VALUES (%s, 'r', %s, now(), %s, now(), now())",
        [ref, ref, json.dumps(order)],
    )
    connection.execute(
        "INSERT INTO ws_live.order_contacts VALUES (%s, %s, %s, '{}', now(), now())",
        [uuid4(), ref, guest],
    )
    return guest


@pytest.mark.parametrize("status", ["LIVE", "DRAFT"])
def test_f4_guests_with_refunds_are_looked_at_again(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """Issue F4: only where a segment is Live; a refund of an absorbed guest is the survivor's."""
    known = {kind: migrate.migrations(kind) for kind in ("control", "workspace")}
    (new,) = [one.number for one in known["workspace"] if one.name == MIGRATION]
    before = {**known, "workspace": tuple(o for o in known["workspace"] if o.number < new)}
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "migrations", before.__getitem__)
        asyncio.run(migrate.migrate(empty_dsn))
    with psycopg.connect(empty_dsn) as connection:
        put(connection, None, {"status": "PURCHASED", "price": 5})
        touched = {
            put(connection, None, {"status": "refunded", "price": 5}),
            put(connection, None, {"status": "PURCHASED", "price": -5}),
        }
        survivor = put(connection, None, {})
        touched |= {survivor, put(connection, survivor, {"status": "REFUNDED"})}
        connection.execute(
            "INSERT INTO ws_live.segments (ref, friendly_id, name, status, definition, "
            "modified_by, created_at, modified_at) "
            "VALUES (gen_random_uuid(), 's', 's', %s, '{}', 'x', now(), now())",
            [status],
        )
        connection.execute("DELETE FROM ws_live.segment_touched")
    asyncio.run(migrate.migrate(empty_dsn))
    with psycopg.connect(empty_dsn) as connection:
        rows = connection.execute("SELECT guest_ref FROM ws_live.segment_touched").fetchall()
    assert sorted(row[0] for row in rows) == (sorted(touched) if status == "LIVE" else [])


@pytest.mark.anyio
async def test_f4_guests_are_looked_at_though_nothing_was_written(dsn: str, tmp_path: Path) -> None:
    """Issue F4: after the upgrade, a tick of the job brings Live segments up to date by itself."""
    settings = Settings(database=dsn, data=tmp_path)
    database = Database(dsn, settings=settings)
    await database.open()
    rules = [{"field": "firstName", "comparator": "is equal to", "values": ["Ann"]}]
    groups = [{"entity": "guest", "rules": rules}]
    async with database.work("live") as work:
        guest = await guests.create(work, {"guest_type": "customer", "first_name": "Ann"})
        await segments.create(work, {"name": "ann", "definition": {"filterGroups": groups}})
        await work.connection.execute("UPDATE ws_live.segments SET status = 'LIVE'")
        await segment_runs.refresh(work)
        await work.connection.execute("DELETE FROM ws_live.segment_members")
        await work.connection.execute(
            "INSERT INTO ws_live.segment_touched (guest_ref) VALUES (%s)", [guest["ref"]]
        )
        await work.connection.execute("UPDATE ws_live.lake_state SET flushed_at = NULL")
        assert await segments.of_guest(work, guest["ref"]) == []
        await lake.flush(work)
        (found,) = await segments.of_guest(work, guest["ref"])
        assert found["name"] == "ann"
        row = await work.one("lake.waiting")
        assert row is not None
        assert (row["waiting"], row["touched"]) == (False, False)
    await database.close()
