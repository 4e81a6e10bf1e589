"""One PostgreSQL for each run, a database cloned from a migrated template for each test."""

import asyncio
import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path

import httpx
import psycopg
import pytest
from databases import cloned, create, drop
from natural_batches import force_batches
from profiles import choose
from waiting import PATIENCE_SECONDS

from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.embedded_roles import administrator
from innkeeper.store.migrate import migrate
from innkeeper.store.work import Work

SHARED_MEMORY = Path("/dev/shm")
# Where servers note that they run: no test finds those of the person who runs the tests.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="innkeeper-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)
# Innkeeper is compiled once, not by each of the hundreds of processes that the tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# httpx gives up after five seconds wherever a call names no other time.
for _kind in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _kind, PATIENCE_SECONDS)
# Each client reads the certificates of all authorities, though hardly any calls another machine.
_transport = sys.modules["httpx._transports.default"]
_transport.create_ssl_context = cache(_transport.create_ssl_context)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items[:], left_out = choose(items)
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def _forced_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """`INNKEEPER_FORCE_BATCHES=1`: run any tests with every batch forced."""
    if os.environ.get("INNKEEPER_FORCE_BATCHES"):
        force_batches(monkeypatch)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A server that databases can be made on: the one given, else an embedded one in memory."""
    response = os.environ.get("INNKEEPER_TEST_DATABASE") or os.environ.get("INNKEEPER_DATABASE")
    if response:
        yield response
        return
    in_memory = os.access(SHARED_MEMORY, os.W_OK) and _free(SHARED_MEMORY) > 1 << 30
    folder = Path(
        tempfile.mkdtemp(prefix="innkeeper-test-", dir=SHARED_MEMORY if in_memory else None)
    )
    embedded = EmbeddedServer(folder)
    try:
        address = embedded.start()
        # The server's own login may not make databases; the tests make one each.
        with psycopg.connect(administrator(address), autocommit=True) as connection:
            connection.execute("ALTER ROLE innkeeper CREATEDB")
        yield address
    finally:
        embedded.stop()
        shutil.rmtree(folder)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """The name of a database as `innkeeper db migrate` leaves it."""
    name, dsn = create(server)
    asyncio.run(migrate(dsn))
    yield name
    drop(server, name)


@pytest.fixture
def dsn(server: str, template: str) -> Iterator[str]:
    """A fresh, migrated database, gone after the test."""
    with cloned(server, template) as address:
        yield address


@pytest.fixture
def empty_dsn(server: str) -> Iterator[str]:
    """A database that Innkeeper has not seen yet."""
    with cloned(server) as address:
        yield address


@pytest.fixture
async def database(dsn: str, tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(dsn, settings=Settings(database=dsn, data=tmp_path)) as opened:
        yield opened


@pytest.fixture
async def work(database: Database) -> AsyncIterator[Work]:
    """Work on the workspace `live`."""
    async with database.work("live") as lent:
        yield lent


@pytest.fixture
async def control(database: Database) -> AsyncIterator[Work]:
    """Work on what belongs to no workspace."""
    async with database.control() as lent:
        yield lent
