"""API keys: made, found, rotated, revoked, announced; the token is never stored."""

import asyncio
import base64
import hashlib
import re
from datetime import timedelta

import pytest
from waiting import wait_until

from innkeeper import clock
from innkeeper.actions.admin import keys, sandbox_tokens
from innkeeper.errors import OperatorError, Unauthorized, Unknown
from innkeeper.rules.scopes import EVERY_SCOPE
from innkeeper.store.configuration_cache import API_KEYS, CHANNEL
from innkeeper.store.database import Database
from innkeeper.store.notifications import Notifications
from innkeeper.store.work import Work
from innkeeper.web.auth import Keyring


async def test_a_key_is_32_alphanumerics_and_a_token_of_256_bits(control: Work) -> None:
    key = await keys.create(control, "live", "official", "shop")
    assert re.fullmatch(r"[A-Za-z0-9]{32}", key.client_key)
    assert len(key.api_token) >= 43
    key_row = await keys.find(control, key.client_key)
    assert key_row is not None
    assert (key_row["workspace"], key_row["compatibility"]) == ("live", "official")
    assert bytes(key_row["token_sha256"]) == hashlib.sha256(key.api_token.encode()).digest()


async def test_no_token_is_stored_in_clear(control: Work) -> None:
    key = await keys.create(control, "live")
    cursor = await control.connection.execute("SELECT k::text AS row FROM innkeeper.api_keys k")
    assert all(key.api_token not in row["row"] for row in await cursor.fetchall())
    assert all("token" not in column for row in await keys.list_all(control) for column in row)


async def test_a_key_for_no_workspace_is_refused(control: Work) -> None:
    with pytest.raises(Unknown):
        await keys.create(control, "nowhere")


async def test_a_revoked_key_is_not_found_but_listed(control: Work) -> None:
    key = await keys.create(control, "live")
    await keys.revoke(control, key.client_key)
    assert await keys.find(control, key.client_key) is None
    listed = await keys.list_all(control, "live")
    assert [row["client_key"] for row in listed if row["revoked_at"]] == [key.client_key]
    for again in (keys.revoke, keys.rotate):
        with pytest.raises(OperatorError, match="no key"):
            await again(control, key.client_key)


async def test_rotating_keeps_the_client_key_and_ends_the_token(control: Work) -> None:
    old = await keys.create(control, "live", "official")
    new = await keys.rotate(control, old.client_key)
    assert (new.client_key, new.compatibility) == (old.client_key, "official")
    assert new.api_token != old.api_token
    key_row = await keys.find(control, old.client_key)
    assert key_row is not None
    assert bytes(key_row["token_sha256"]) == hashlib.sha256(new.api_token.encode()).digest()


async def test_a_change_is_announced_once_it_is_committed(database: Database, dsn: str) -> None:
    messages: list[str] = []
    notices = Notifications(dsn, {CHANNEL: messages.append}, lambda _: None)
    await notices.start()
    await wait_until("the listener", lambda: notices.connected)
    async with database.control() as control, database.control() as another:
        key = (await keys.create(control, "live")).client_key
        await keys.rotate(control, key)
        async with control.transaction():
            await keys.revoke(control, key)
            # What is announced later comes first: the revocation is not committed.
            await another.connection.execute("SELECT pg_notify(%s, 'later')", [CHANNEL])
            await wait_until("three announcements", lambda: len(messages) == 3)
            assert messages == [API_KEYS, API_KEYS, "later"]
    await wait_until("the revocation", lambda: messages == [API_KEYS, API_KEYS, "later", API_KEYS])
    await notices.close()


async def test_use_is_noted_at_most_once_a_minute(control: Work) -> None:
    key = (await keys.create(control, "live")).client_key

    async def used() -> object:
        return next(
            row["last_used_at"] for row in await keys.list_all(control) if row["client_key"] == key
        )

    assert await used() is None
    await keys.touch(control, key)
    first = await used()
    assert first is not None
    await asyncio.sleep(0.01)
    await keys.touch(control, key)
    assert await used() == first
    await control.connection.execute(
        "UPDATE innkeeper.api_keys SET last_used_at = last_used_at - interval '61 seconds'"
    )
    await keys.touch(control, key)
    assert await used() >= first  # type: ignore[operator]


async def test_many_processes_make_one_first_key(database: Database) -> None:
    async def ask() -> keys.NewKey | None:
        async with database.control() as control:
            return await keys.create_first(control, "live")

    task = await asyncio.gather(*(ask() for _ in range(8)))
    assert len([key for key in task if key is not None]) == 1


async def test_a_key_that_expires_is_refused_from_the_cache_too(
    database: Database, control: Work
) -> None:
    key = await sandbox_tokens.create(control, "live", EVERY_SCOPE)
    login = f"{key.client_key}:{key.api_token}".encode()
    header = b"Basic " + base64.b64encode(login)
    keyring = Keyring(database)
    assert (await keyring.identify(header)).workspace == "live_sandbox"
    with clock.simulated(clock.now() + timedelta(minutes=59)):
        assert await keyring.workspace_of(key.client_key)
    with clock.simulated(clock.now() + timedelta(minutes=61)):
        for refused in (keyring.identify(header), keyring.workspace_of(key.client_key)):
            with pytest.raises(Unauthorized):
                await refused
