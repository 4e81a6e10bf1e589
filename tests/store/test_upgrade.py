"""Every released version is upgraded to this one, from a dump that `innkeeper db dump` wrote."""

import asyncio
import lzma
from pathlib import Path
from typing import Any

import psycopg
import pytest

from innkeeper.actions.identity import rekeying
from innkeeper.actions.records import guests, orders
from innkeeper.actions.records.order_people import CONTACTS
from innkeeper.store import dumps, migrate
from innkeeper.store.database import Database

DUMPS = sorted(Path(__file__).with_name("upgrades").glob("*.dump.xz"))

_SCHEMA = """
SELECT 'column' AS kind, table_schema || '.' || table_name || '.' || column_name AS name,
    concat_ws(' ', data_type, udt_name, is_nullable, column_default, is_identity) AS text
FROM information_schema.columns
UNION ALL
SELECT 'constraint', n.nspname || '.' || k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint AS k JOIN pg_namespace AS n ON n.oid = k.connamespace
UNION ALL
SELECT 'index', schemaname || '.' || indexname, indexdef FROM pg_indexes
UNION ALL
SELECT 'trigger', n.nspname || '.' || c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal
UNION ALL
SELECT 'function', n.nspname || '.' || p.proname, pg_get_functiondef(p.oid)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname IN ('innkeeper', 'ws_live', 'ws_live_sandbox')
"""
_OURS = (
    f"SELECT kind, name, text FROM ({_SCHEMA}) AS s "
    r"WHERE name ~ '^(innkeeper|ws_live|ws_live_sandbox)\.' AND name !~ '\.events_[0-9]{4}_'"
)


def schema(dsn: str) -> set[tuple[str, str, str]]:
    """Columns, constraints, indexes, triggers and functions; partitions depend on the month."""
    with psycopg.connect(dsn) as connection:
        return set(connection.execute(_OURS).fetchall())


@pytest.fixture(params=DUMPS, ids=lambda path: path.name.removesuffix(".dump.xz"))
def upgraded(request: pytest.FixtureRequest, empty_dsn: str, tmp_path: Path) -> str:
    """The address of a database of an earlier version that was upgraded."""
    file = tmp_path / "earlier.dump"
    file.write_bytes(lzma.decompress(request.param.read_bytes()))
    dumps.restore(empty_dsn, file, lambda _: None)
    asyncio.run(rekeying.upgrade(empty_dsn))
    return empty_dsn


def test_an_upgraded_schema_is_that_of_a_new_database(upgraded: str, dsn: str) -> None:
    assert schema(upgraded) == schema(dsn)
    assert all(not state.pending for state in asyncio.run(migrate.status(upgraded)))


def test_an_upgraded_database_has_its_guests_and_finds_them(upgraded: str) -> None:
    """What `upgrades/write_dump.py` wrote is there; identity, counts and search continue."""

    async def act() -> dict[str, Any]:
        async with Database(upgraded, pool_size=1) as database, database.work("live") as work:
            placed = {"reference_id": "order-2", "ordered_at": "2026-10-09T10:00:00.000Z"}
            order = await orders.create(work, {**placed, "price": 1, "currency_code": "EUR"})
            email = [{"provider": "email", "id": "ANN@example.org"}]
            contact = await CONTACTS.create(
                work, order=order["ref"], changes={"identifiers": email}
            )
            return await guests.fetch(work, contact["guest_ref"])

    assert asyncio.run(act())["first_name"] == "Ann"
    with psycopg.connect(upgraded) as connection:
        counted = "SELECT sum(guests) FROM ws_live.guest_counts"
        assert connection.execute(counted).fetchall() == [(4,)]
        connection.execute("DELETE FROM ws_live.guests WHERE body ->> 'first_name' = 'Bea'")
        assert connection.execute(counted).fetchall() == [(3,)]
        words = "SELECT word FROM ws_live.name_words ORDER BY word"
        assert connection.execute(words).fetchall() == [("ann",), ("cian",), ("dara",)]
