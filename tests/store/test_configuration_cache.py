"""The cache of configuration: a change by another process is seen, whoever makes it."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from waiting import wait_until

from innkeeper.actions.admin import keys, stored_secrets
from innkeeper.actions.privacy import block_list
from innkeeper.errors import Unauthorized
from innkeeper.rules.scopes import Scope
from innkeeper.store import configuration_cache as caching
from innkeeper.store.configuration_cache import ConfigurationCache
from innkeeper.store.database import Database
from innkeeper.store.notifications import Notifications
from innkeeper.store.work import Work
from innkeeper.web.auth import Caller, Keyring

JANE = {"email": "jane@example.com"}


@dataclass
class Process:
    """A process that listens, and a connection of another process."""

    database: Database
    other: psycopg.Connection
    received: list[str] = field(default_factory=list)

    def hear(self, kind: str) -> None:
        self.database.cache.clear(kind)
        self.received.append(kind)

    async def change(self, statement: str, *values: Any) -> None:
        """Change something as another process does, and wait until this one is notified."""
        before = len(self.received)
        self.other.execute(statement, values)
        await wait_until("the notification", lambda: len(self.received) > before)


@pytest.fixture
async def process(database: Database, dsn: str) -> AsyncIterator[Process]:
    with psycopg.connect(dsn, autocommit=True) as other:
        process = Process(database, other)
        cache = database.cache
        notifications = Notifications(dsn, {caching.CHANNEL: process.hear}, cache.listen)
        await notifications.start()
        await wait_until("the listener", lambda: notifications.connected)
        yield process
        await notifications.close()


def basic(key: keys.NewKey, token: str = "") -> bytes:
    pair = f"{key.client_key}:{token or key.api_token}"
    return b"Basic " + base64.b64encode(pair.encode())


async def statements(database: Database, act: Callable[[], Awaitable[Any]]) -> int:
    """How many connections `act` takes."""
    with patch.object(database, "checkout", wraps=database.checkout) as client:
        await act()
    return client.call_count


@pytest.mark.parametrize(
    ("statement", "scopes"),
    [
        ("UPDATE innkeeper.api_keys SET scopes = '{read}' WHERE client_key = %s", {Scope.READ}),
        ("UPDATE innkeeper.api_keys SET revoked_at = now() WHERE client_key = %s", None),
        ("UPDATE innkeeper.api_keys SET token_sha256 = sha256('x') WHERE client_key = %s", None),
        ("DELETE FROM innkeeper.api_keys WHERE client_key = %s", None),
    ],
)
async def test_a_key_that_another_process_changed(
    process: Process, control: Work, statement: str, scopes: set[Scope] | None
) -> None:
    key = await keys.create(control, "live")
    await wait_until("the new key", lambda: bool(process.received))
    keyring = Keyring(process.database)

    async def identify() -> Caller:
        return await keyring.identify(basic(key))

    assert (await identify()).client_key == key.client_key
    assert await statements(process.database, identify) == 0
    await process.change(statement, key.client_key)
    if scopes is not None:
        assert (await identify()).scopes == scopes
        return
    with pytest.raises(Unauthorized):
        await identify()


async def test_an_alias_that_another_process_deleted(process: Process, control: Work) -> None:
    key = await keys.create(control, "live")
    await keys.set_alias(control, "context", key.client_key)
    await wait_until("both changes", lambda: len(process.received) == 2)
    keyring = Keyring(process.database)
    key_row = await keyring.workspace_of("context")
    assert key_row.client_key == key.client_key
    await process.change("DELETE FROM innkeeper.client_key_aliases")
    with pytest.raises(Unauthorized):
        await keyring.workspace_of("context")


async def test_a_signing_key_that_another_process_replaced(process: Process, work: Work) -> None:
    """`innkeeper secrets reset` beside a running server: links of the old key end at once."""
    old = await stored_secrets.installation_key(work, stored_secrets.LINKS)
    assert await stored_secrets.installation_key(work, stored_secrets.LINKS) == old
    new = bytes(range(32))
    await process.change(
        "UPDATE innkeeper.secrets SET value = %s, encrypted = NULL WHERE name = 'links'", new
    )
    assert await stored_secrets.installation_key(work, stored_secrets.LINKS) == new


async def test_a_person_that_another_process_blocked(
    process: Process, work: Work, dsn: str
) -> None:
    assert not await block_list.is_blocked(work, JANE)
    async with Database(dsn, pool_size=1) as elsewhere, elsewhere.work("live") as other:
        await block_list.suppress_person(other, JANE, "test")
        await wait_until("the notification", lambda: process.received == [caching.BLOCK_LIST])
        assert await block_list.is_blocked(work, JANE)
        await block_list.release_person(other, JANE)
    await wait_until("the release", lambda: len(process.received) == 2)
    assert not await block_list.is_blocked(work, JANE)


async def test_the_use_of_a_key_is_no_change(process: Process, control: Work) -> None:
    key = await keys.create(control, "live")
    await keys.touch(control, key.client_key)
    await process.change("NOTIFY innkeeper_configuration, 'last'")
    assert process.received == [caching.API_KEYS, "last"]


async def test_what_changes_while_it_is_read_is_not_cached() -> None:
    cache = ConfigurationCache()
    cache.listen(True)
    values = iter(["old", "new"])

    async def fetch() -> str:
        value = next(values)
        if value == "old":
            cache.clear(caching.API_KEYS)
        return value

    assert await cache.read(caching.API_KEYS, "key", fetch) == "old"
    assert await cache.read(caching.API_KEYS, "key", fetch) == "new"
    assert await cache.read(caching.API_KEYS, "key", fetch) == "new"


async def test_credentials_are_not_cached_without_notifications() -> None:
    cache = ConfigurationCache()
    values = iter(range(4))

    async def fetch() -> int:
        return next(values)

    assert [await cache.read(caching.API_KEYS, "key", fetch) for _ in range(2)] == [0, 1]
    cache.listen(True)
    assert [await cache.read(caching.API_KEYS, "key", fetch) for _ in range(2)] == [2, 2]
    cache.listen(False)
    assert await cache.read(caching.API_KEYS, "key", fetch) == 3


async def test_every_kind_that_is_announced_is_a_kind_of_the_cache(control: Work) -> None:
    cursor = await control.connection.execute(
        "SELECT encode(tgargs, 'escape') AS kind FROM pg_trigger WHERE tgname = 'announce'"
    )
    announced = {row["kind"].removesuffix("\\000") for row in await cursor.fetchall()}
    assert announced == {caching.API_KEYS, caching.SECRETS, caching.BLOCK_LIST}


async def test_s7_a_change_is_seen_at_once_by_the_process_that_makes_it(database: Database) -> None:
    """Without a notification: what a request has changed, the next one of its sender meets."""
    database.cache.listen(True)
    async with database.control() as work:
        key = await keys.create(work, "live")
    keyring = Keyring(database)
    assert (await keyring.identify(basic(key))).client_key == key.client_key
    async with database.control() as work:
        rotated = await keys.rotate(work, key.client_key)
    with pytest.raises(Unauthorized):
        await keyring.identify(basic(key))
    assert (await keyring.identify(basic(rotated))).client_key == key.client_key
    async with database.control() as work:
        await keys.revoke(work, key.client_key)
    with pytest.raises(Unauthorized):
        await keyring.identify(basic(rotated))


async def test_what_a_transaction_changes_stays_cached_until_its_commit(database: Database) -> None:
    cache = database.cache
    cache.put(caching.API_KEYS, "key", "old")
    async with database.control() as work:
        with pytest.raises(RuntimeError):
            async with work.transaction():
                work.drop_cached(caching.API_KEYS)
                raise RuntimeError
        assert cache.get(caching.API_KEYS, "key") == "old"
        async with work.transaction():
            async with work.transaction():
                work.drop_cached(caching.API_KEYS)
            assert cache.get(caching.API_KEYS, "key") == "old"
        assert cache.get(caching.API_KEYS, "key") is None
