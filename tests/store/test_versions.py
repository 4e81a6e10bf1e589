"""F21: the version of a record costs no statement of its own, and is that of the row."""

from uuid import UUID

import pytest
from counting import note_statements

from innkeeper.actions.records import guests, orders
from innkeeper.clock import now
from innkeeper.errors import Outdated
from innkeeper.rules.versions import Expected, version_of
from innkeeper.store.work import Work


@pytest.fixture
def statements(work: Work) -> list[str]:
    """The statements that go to the database from now on."""
    return note_statements(work)


async def test_f21_reading_and_making_is_one_statement(work: Work, statements: list[str]) -> None:
    placed = {"reference_id": "R-1", "ordered_at": now(), "price": 1}
    await guests.create(work, {"guest_type": "visitor"})
    await orders.create(work, placed)
    statements.clear()
    guest = await guests.create(work, {"guest_type": "visitor"})
    assert len(statements) == 1
    rows = await guests.fetch(work, guest["ref"])
    assert len(statements) == 2
    order = await orders.create(work, {**placed, "reference_id": "R-2"})
    assert len(statements) == 3
    stored = await orders.fetch(work, order["ref"])
    assert len(statements) == 4
    assert version_of(guest) == version_of(rows)
    assert version_of(order) == version_of(stored)


async def test_f21_a_write_is_as_many_statements_with_a_version_as_without(
    work: Work, statements: list[str]
) -> None:
    ref: UUID = (await guests.create(work, {"guest_type": "visitor"}))["ref"]
    await guests.patch(work, ref, {"city": "Cork"})
    statements.clear()
    written = await guests.patch(work, ref, {"city": "Galway"})
    without = len(statements)
    await guests.patch(work, ref, {"city": "Sligo"}, Expected(frozenset({version_of(written)})))
    assert len(statements) == 2 * without
    with pytest.raises(Outdated):
        await guests.patch(work, ref, {"city": "Mayo"}, Expected(frozenset({version_of(written)})))
    assert (await guests.fetch(work, ref))["city"] == "Sligo"


async def test_f21_no_version_is_stored_in_a_body(work: Work) -> None:
    guest = await guests.create(work, {"guest_type": "visitor"})
    await guests.patch(work, guest["ref"], {"city": "Cork"})
    placed = {"reference_id": "R-1", "ordered_at": now(), "price": 1}
    order = await orders.create(work, placed)
    await orders.patch(work, order["ref"], {"price": 2})
    for table in ("guests", "orders"):
        cursor = await work.connection.execute(f"SELECT body FROM ws_live.{table}")
        assert "row_version" not in str(await cursor.fetchall())
