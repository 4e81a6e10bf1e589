"""Work and Database against a real server: values, transactions, failures."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest
from waiting import PATIENCE_SECONDS, until, wait_until, wait_until_blocked, wait_until_busy

from innkeeper.actions.records import guests
from innkeeper.errors import BadRequest, Conflict, Unavailable
from innkeeper.resources.values import iso
from innkeeper.store import database as database_module
from innkeeper.store.configuration_cache import CHANNEL
from innkeeper.store.database import Database, retrying
from innkeeper.store.driver_errors import Contended
from innkeeper.store.notifications import Notifications
from innkeeper.store.work import Json, Work


async def _rule(work: Work, position: int, conditions: object = None) -> None:
    await work.connection.execute(
        "INSERT INTO ws_live.identity_rules VALUES (%s, %s, %s)",
        [position, str(position), Json(conditions)],
    )


async def _positions(work: Work) -> list[int]:
    cursor = await work.connection.execute("SELECT position FROM ws_live.identity_rules ORDER BY 1")
    return [row["position"] for row in await cursor.fetchall()]


async def test_numbers_come_back_as_they_were_stored(work: Work) -> None:
    value = {"a": Decimal("12.50"), "b": 12, "c": 2**70, "d": [Decimal("0.1"), None, "é"]}
    await _rule(work, 2, value)
    cursor = await work.connection.execute(
        "SELECT conditions, conditions::text AS text FROM ws_live.identity_rules WHERE position = 2"
    )
    row = await cursor.fetchone()
    assert row is not None
    assert row["conditions"] == value
    assert isinstance(row["conditions"]["b"], int)
    assert '"a": 12.50' in row["text"]


async def test_uuids_and_instants_keep_their_types(work: Work) -> None:
    ref = uuid4()
    cursor = await work.connection.execute("SELECT %s::uuid AS ref, now() AS at", [ref])
    row = await cursor.fetchone()
    assert row is not None
    assert row["ref"] == ref
    assert row["at"].utcoffset().total_seconds() == 0


async def test_an_inner_transaction_takes_part_in_the_outer_one(work: Work) -> None:
    with pytest.raises(ZeroDivisionError):
        async with work.transaction():
            async with work.transaction():
                await _rule(work, 2)
            raise ZeroDivisionError
    assert await _positions(work) == [1]
    async with work.transaction():
        await _rule(work, 3)
    assert await _positions(work) == [1, 3]


async def test_half_a_transaction_is_never_committed(work: Work) -> None:
    with pytest.raises(RuntimeError):
        async with work.transaction():
            await _rule(work, 2)
            try:
                async with work.transaction():
                    raise ZeroDivisionError
            except ZeroDivisionError:
                pass
    with pytest.raises(RuntimeError):
        async with work.transaction():
            await _rule(work, 2)
            with pytest.raises(psycopg.Error):
                await work.connection.execute("SELECT 1 / 0")
    assert await _positions(work) == [1]


async def test_a_cancelled_caller_leaves_a_usable_connection(database: Database, dsn: str) -> None:
    async def slow() -> None:
        async with database.work("live") as work, work.transaction():
            await _rule(work, 2)
            await work.connection.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(slow())
    await wait_until_busy(dsn, "SELECT pg_sleep%")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.work("live") as work:
        assert await _positions(work) == [1]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
async def test_text_that_cannot_be_stored_is_the_callers_fault(control: Work, name: str) -> None:
    with pytest.raises(BadRequest):
        await control.one("control.find_workspace", name=name)


async def test_a_value_the_database_refuses_is_the_callers_fault(control: Work) -> None:
    with pytest.raises(BadRequest):
        await control.run("control.revoke_key", client_key="", now="294277-01-01T00:00:00Z")


async def test_a_taken_key_is_a_conflict(control: Work) -> None:
    values = {
        "client_key": "k" * 32,
        "token_sha256": bytes(32),
        "workspace": "live",
        "compatibility": "open",
        "scopes": ["read"],
        "name": "",
        "expires_at": None,
        "now": "2026-01-01T00:00:00Z",
    }
    assert await control.run("control.create_key", **values) == 1
    with pytest.raises(Conflict):
        await control.run("control.create_key", **values)


async def test_connections_killed_while_idle_are_replaced_unnoticed(
    database: Database, dsn: str
) -> None:
    async with database.work("live") as one, database.work("live") as two:
        assert await _positions(one) == await _positions(two) == [1]
    others = (
        "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute(f"SELECT pg_terminate_backend(pid) {others}")
        until("their end", lambda: not other.execute(f"SELECT pid {others}").fetchall())
    for _ in range(4):
        async with database.work("live") as work:
            assert await _positions(work) == [1]


async def test_a_connection_lost_at_work_is_unavailable(database: Database, dsn: str) -> None:
    async with database.control() as control:
        with psycopg.connect(dsn, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [control.connection.info.backend_pid])
        with pytest.raises(Unavailable):
            await control.all("control.list_workspaces")
    async with database.control() as control:
        assert len(await control.all("control.list_workspaces")) == 2


async def test_a_connection_is_lent_again_without_the_pool_until_somebody_waits_or_it_is_old(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.work("live") as work:
        first = work.connection
        async with database.work("live") as second, database.work("live") as third:
            others = {second.connection, third.connection}
    lent = [await database.checkout() for _ in range(2)]
    # The pool got one of the three, since two at most stay at hand.
    assert lent[0] is not lent[1]
    assert set(lent) <= {first, *others}
    for connection in lent:
        await database.put_back(connection)
    assert await database.checkout() is lent[1]
    monkeypatch.setattr(database_module, "AT_HAND_SECONDS", 0.0)
    await database.put_back(lent[1])
    assert await database.checkout() is lent[0]
    await database.put_back(lent[0])
    await lent[1].execute("SELECT 1")


async def test_who_waits_for_the_only_connection_gets_it(dsn: str) -> None:
    async with Database(dsn, pool_size=1) as database:
        locked = await database.checkout()
        waiting = asyncio.create_task(database.checkout())
        await asyncio.sleep(0)
        await database.put_back(locked)
        assert await asyncio.wait_for(waiting, PATIENCE_SECONDS) is locked
        await database.put_back(locked)
    assert locked.closed


async def test_no_free_connection_is_unavailable(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.store.database.WAIT_SECONDS", 1)
    database = Database(dsn, pool_size=1)
    monkeypatch.setattr("innkeeper.store.database.WAIT_SECONDS", PATIENCE_SECONDS)
    await database.open()
    async with database.control():
        with pytest.raises(Unavailable):
            async with database.control():
                pass
    async with database.control() as control:
        assert await control.all("control.list_workspaces")
    await database.close()


async def test_no_database_at_all_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.store.database.WAIT_SECONDS", 0.2)
    with pytest.raises(Unavailable):
        await Database("host=/nowhere").open()


async def test_a_deadlock_is_run_again_and_succeeds(database: Database) -> None:
    attempts = 0
    paths = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async def once() -> None:
            nonlocal attempts
            attempts += 1
            async with database.control() as work, work.transaction():
                await work.run("control.one_at_a_time", lock=first)
                if attempts <= 2:
                    await paths.wait()
                await work.run("control.one_at_a_time", lock=second)

        await retrying(once)

    await asyncio.gather(lock(1, 2), lock(2, 1))
    assert attempts == 3


async def test_retrying_gives_up_after_three_times() -> None:
    attempts = 0

    async def lose() -> None:
        nonlocal attempts
        attempts += 1
        raise Contended

    with pytest.raises(Unavailable):
        await retrying(lose)
    assert attempts == 3


async def test_a_slow_statement_is_cut_off(dsn: str) -> None:
    async with Database(dsn, statement_timeout_ms=1000) as database, database.control() as work:
        with pytest.raises(psycopg.errors.QueryCanceled):
            await work.connection.execute("SELECT pg_sleep(3600)")


async def test_the_listener_hears_and_comes_back(database: Database, dsn: str) -> None:
    messages: list[str] = []
    lost: list[bool] = []
    notices = Notifications(dsn, {CHANNEL: messages.append}, lost.append)
    await notices.start()
    await wait_until("the listener", lambda: notices.connected)
    async with database.control() as work:
        await work.connection.execute("SELECT pg_notify(%s, 'one')", [CHANNEL])
        await wait_until("the first notice", lambda: messages == ["one"])
        before = len(lost)
        await work.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
            " AND datname = current_database()"
        )
        await wait_until("the listener to come back", lambda: lost[before:] == [False, True])
        await work.connection.execute("SELECT pg_notify(%s, 'two')", [CHANNEL])
        await wait_until("the second notice", lambda: messages == ["one", "two"])
    await notices.close()
    assert not notices.connected


async def test_rows_are_copied_in_as_the_columns_have_it(work: Work) -> None:
    batch = uuid4()
    await work.connection.execute(
        "INSERT INTO ws_live.batches "
        "(ref, entity, state, file_options, actor, created_at, modified_at) "
        "VALUES (%s, 'batch', 'processing', '{}', 'a', now(), now())",
        [batch],
    )
    expected = [
        (batch, 1, None, 400, "tab\tback\\slash\nÓ", ["é\\N", ""]),
        (batch, 2**40, "r", 409, "", []),
    ]
    assert await work.copy_in("batches.copy_failures", expected) == 2
    cursor = await work.connection.execute("SELECT * FROM ws_live.batch_failures ORDER BY line")
    assert [tuple(row.values()) for row in await cursor.fetchall()] == expected


@pytest.mark.parametrize("text", ["\x00", "\ud800"])
async def test_a_row_that_cannot_be_stored_is_a_bad_request(work: Work, text: str) -> None:
    with pytest.raises(BadRequest):
        await work.copy_in("batches.copy_failures", [(uuid4(), 1, None, 400, text, [])])
    assert await _positions(work) == [1]


async def test_queries_in_turn_see_what_those_before_them_waited_for(
    database: Database, work: Work, dsn: str
) -> None:
    """The second of them is answered as of when the first let it."""
    key = uuid4()
    async with database.work("live") as other:
        async with other.transaction():
            await other.one("order_writes.lock_references", locks=[7])
            await other.connection.execute(
                "INSERT INTO ws_live.orders VALUES (%s, 'R-1', %s, now(), '{}', now(), now())",
                [uuid4(), key],
            )
            task = asyncio.create_task(_locked_orders(work, key))
            await wait_until_blocked(dsn)
            assert not task.done()
        assert await task == ["R-1"]


async def _locked_orders(work: Work, key: UUID) -> list[str]:
    async with work.transaction():
        _, rows = await work.in_turn(
            ("order_writes.lock_references", {"locks": [7]}), ("order_writes.find", {"keys": [key]})
        )
    return [row["reference_id"] for row in rows]


async def test_a_fault_in_turn_undoes_the_transaction(work: Work) -> None:
    with pytest.raises(BadRequest):
        async with work.transaction():
            await _rule(work, 2)
            await work.in_turn(
                ("block_list.find", {"digests": [b""]}),
                ("order_writes.of_reference", {"key": uuid4(), "reference_id": "\x00"}),
            )
    assert await _positions(work) == [1]


async def test_rows_as_text_are_what_the_api_shows(work: Work) -> None:
    """P3, C-8: refs, and instants with any number of decimals; the next query is not concerned."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    instants = [at.replace(microsecond=each) for each in (0, 1, 999, 1000, 120000, 999999)]
    for first_seen in instants:
        guest = await guests.create(work, {"guest_type": "customer"})
        await work.run("guest_writes.first_seen", ref=guest["ref"], first_seen=first_seen)
        (row,) = await work.all_as_text("guest_writes.read", refs=[guest["ref"]])
        assert row["ref"] == str(guest["ref"])
        assert row["first_seen"] == iso(first_seen)
        (row,) = await work.all("guest_writes.read", refs=[guest["ref"]])
        assert (row["ref"], row["first_seen"]) == (guest["ref"], first_seen)
