"""PooledConnection against a real server: one registration of its socket, and none left over."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
import uvloop
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from waiting import PATIENCE_SECONDS, wait_until

from innkeeper.store.pooled_connection import PooledConnection
from innkeeper.store.statements import PREPARED_MAX

LONG = "SELECT pg_sleep(600)"


@pytest.fixture
async def opened(server: str) -> AsyncIterator[PooledConnection]:
    connection = await PooledConnection.connect(server, autocommit=True, row_factory=dict_row)
    yield connection
    await connection.close()


async def _one(connection: PooledConnection) -> int:
    (row,) = connection.statements.rows(await connection.statements.run("SELECT 1 AS one", {}))
    return int(row["one"])


class Registrations:
    """The sockets that the running loop was told to watch and to leave, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.added: list[int] = []
        self.removed: list[int] = []
        self._add, self._remove = loop.add_reader, loop.remove_reader
        monkeypatch.setattr(loop, "add_reader", self._adding)
        monkeypatch.setattr(loop, "remove_reader", self._removing)

    def _adding(self, descriptor: int, *call: Any) -> None:
        self.added.append(descriptor)
        self._add(descriptor, *call)

    def _removing(self, descriptor: int) -> bool:
        self.removed.append(descriptor)
        return self._remove(descriptor)


async def test_its_socket_is_registered_once(
    opened: PooledConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = Registrations(monkeypatch)
    for _ in range(50):
        assert await _one(opened) == 1
    async with opened.transaction():
        assert await _one(opened) == 1
    assert sockets.added == [opened.fileno()]
    assert sockets.removed == []


async def test_a_statement_that_fails_leaves_it_usable(opened: PooledConnection) -> None:
    for _ in range(3):
        with pytest.raises(psycopg.errors.DivisionByZero):
            await opened.statements.run("SELECT 1 / 0", {})
        assert await _one(opened) == 1


async def test_a_cancelled_statement_is_stopped_in_the_server(
    opened: PooledConnection, server: str
) -> None:
    waiting = asyncio.create_task(opened.execute(LONG))
    async with await PooledConnection.connect(server, autocommit=True) as other:

        async def runs() -> bool:
            cursor = await other.execute(
                "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'",
                [opened.info.backend_pid],
            )
            return await cursor.fetchone() is not None

        await wait_until("the statement runs", runs)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not await runs()
    assert await _one(opened) == 1


async def test_an_idle_connection_that_the_server_closes_does_not_keep_the_loop_busy(
    opened: PooledConnection, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = Registrations(monkeypatch)
    assert await _one(opened) == 1
    async with await PooledConnection.connect(server, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s)", [opened.info.backend_pid])
        await wait_until("its socket is left", lambda: opened.fileno() in sockets.removed)
    with pytest.raises(psycopg.OperationalError):
        await _one(opened)
    await opened.close()
    assert sorted(sockets.added) == sorted(sockets.removed)


async def test_a_statement_fails_whose_connection_is_closed(
    opened: PooledConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = Registrations(monkeypatch)
    waiting = asyncio.create_task(opened.execute(LONG))
    await wait_until("the statement is sent", lambda: sockets.added)
    await opened.close()
    with pytest.raises(psycopg.OperationalError):
        await waiting
    assert sockets.removed == sockets.added


async def test_statements_larger_than_the_buffers_of_the_socket_pass(
    opened: PooledConnection,
) -> None:
    text = "é" * (8 << 20)
    result = await opened.statements.run("SELECT %(text)s::text AS text", {"text": text})
    (row,) = opened.statements.rows(result)
    assert row["text"] == text
    assert await _one(opened) == 1


async def test_copy_and_pipelines_pass(opened: PooledConnection) -> None:
    await opened.execute("CREATE TEMPORARY TABLE numbers (number bigint)")
    async with opened.cursor() as cursor:
        async with cursor.copy("COPY numbers FROM STDIN") as copy:
            for number in range(10_000):
                await copy.write_row([number])
        async with opened.pipeline():
            first = await opened.execute("SELECT count(*) AS many FROM numbers")
            second = await opened.execute("SELECT sum(number) AS sum FROM numbers")
        assert await first.fetchall() == [{"many": 10_000}]
        assert await second.fetchall() == [{"sum": 49_995_000}]
        read = 0
        async with cursor.copy("COPY numbers TO STDOUT") as copy:
            async for block in copy:
                read += bytes(block).count(b"\n")
    assert read == 10_000
    assert await _one(opened) == 1


class DyingServer(Thread):
    """Passes a connection on to the server until `dies` is set; the statement that comes next it
    leaves unread, answers with the farewell of a backend whose server was killed, and closes."""

    def __init__(self, folder: Path, server: str) -> None:
        super().__init__(daemon=True)
        self.dies = False
        parts = conninfo_to_dict(server)
        name = f".s.PGSQL.{parts.get('port', 5432)}"
        self._target = f"{parts['host']}/{name}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / name))
        self._listener.listen()
        self.address = make_conninfo(server, host=str(folder))

    def run(self) -> None:
        client, _ = self._listener.accept()
        with self._listener, client, socket.socket(socket.AF_UNIX) as backend:
            backend.connect(self._target)
            answers = Thread(target=self._pass_on, args=(backend, client), daemon=True)
            answers.start()
            while client.recv(1, socket.MSG_PEEK) and not self.dies:
                backend.sendall(client.recv(1 << 16))
            text = b"SFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0"
            client.sendall(b"E" + struct.pack("!i", len(text) + 4) + text)

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        try:
            while block := source.recv(1 << 16):
                target.sendall(block)
        except OSError:
            return


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_statement_fails_whose_server_was_killed(server: str, tmp_path: Path, run: Any) -> None:
    """libuv stops to watch a socket that has an error: the rest of the answer must not be waited
    for without a registration."""
    if not conninfo_to_dict(server)["host"].startswith("/"):
        pytest.skip("the server has no socket in the file system")
    dying = DyingServer(tmp_path, server)
    dying.start()

    async def ask() -> None:
        connection = await PooledConnection.connect(
            dying.address, autocommit=True, row_factory=dict_row
        )
        assert await _one(connection) == 1
        dying.dies = True
        with pytest.raises(psycopg.OperationalError, match="unexpected postmaster exit"):
            await asyncio.wait_for(_one(connection), PATIENCE_SECONDS)
        await connection.close()

    run(ask())


async def test_a_statement_is_prepared_when_it_runs_again(opened: PooledConnection) -> None:
    text = "SELECT %(a)s::int + %(b)s::int AS sum, %(a)s::int AS a, '%%' AS percent"
    for a in (1, 2, 3):
        rows = opened.statements.rows(await opened.statements.run(text, {"a": a, "b": 10}))
        assert rows == [{"sum": a + 10, "a": a, "percent": "%"}]
    prepared = await opened.execute(
        "SELECT statement, generic_plans + custom_plans AS runs FROM pg_prepared_statements"
    )
    assert await prepared.fetchall() == [
        {"statement": "SELECT $1::int + $2::int AS sum, $1::int AS a, '%' AS percent", "runs": 2}
    ]


async def test_prepared_statements_that_are_not_used_are_dropped(opened: PooledConnection) -> None:
    texts = [f"SELECT {number} AS number" for number in range(PREPARED_MAX + 3)]
    for text in texts:
        await opened.statements.run(text, {})
        await opened.statements.run(text, {})
        # The first one is in use all the time.
        assert opened.statements.rows(await opened.statements.run(texts[0], {})) == [{"number": 0}]
    prepared = await opened.execute("SELECT statement FROM pg_prepared_statements")
    rows = {row["statement"] for row in await prepared.fetchall()}
    assert rows == {texts[0], *texts[4:]}


async def test_a_statement_whose_columns_change_is_prepared_anew(opened: PooledConnection) -> None:
    await opened.execute("CREATE TEMPORARY TABLE wide (a int)")
    for _ in range(3):
        await opened.statements.run("SELECT * FROM wide", {})
    await opened.execute("ALTER TABLE wide ADD b int")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        await opened.statements.run("SELECT * FROM wide", {})
    for _ in range(3):
        result = await opened.statements.run("SELECT * FROM wide", {})
        assert result.nfields == 2


async def test_statements_survive_a_transaction_that_is_undone(opened: PooledConnection) -> None:
    text = "SELECT 1 / %(by)s::int AS one"
    for by in (1, 1, 0, 1):
        await opened.statements.command(b"BEGIN")
        if by:
            await opened.statements.run(text, {"by": by})
        else:
            with pytest.raises(psycopg.errors.DivisionByZero):
                await opened.statements.run(text, {"by": by})
        await opened.statements.command(b"ROLLBACK")
    prepared = await opened.execute("SELECT statement FROM pg_prepared_statements")
    assert len(await prepared.fetchall()) == 1
