"""S10: secrets that must be readable are encrypted in the database; the key is outside of it."""

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from innkeeper.actions.admin import stored_secrets
from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.store import encryption
from innkeeper.store.database import Database

PLAIN = "plain-secret-of-an-earlier-version"
SEGMENT = f"""
INSERT INTO ws_live.segments (ref, friendly_id, name, status, tags, definition, webhook,
    webhook_secret, modified_by, created_at, modified_at)
VALUES (gen_random_uuid(), 'old', 'Old', 'DRAFT', '{{}}', '{{}}', 'https://example.com/hook',
    '{PLAIN}', 'test', now(), now())
"""
MESSAGE = f"""
INSERT INTO ws_live.webhook_messages (url, secret, body, due_at, created_at)
VALUES ('https://example.com/hook', '{PLAIN}', '', now(), now())
"""


@pytest.fixture
async def database(database: Database) -> Database:
    """A database whose secrets an earlier version stored in plain text."""
    async with database.control() as work:
        await work.connection.execute(SEGMENT)
        await work.connection.execute(MESSAGE)
    return database


async def stored(database: Database) -> list[str]:
    """Every readable secret as the database holds it."""
    async with database.work("live") as work:
        cursor = await work.connection.execute(
            "SELECT webhook_secret AS stored FROM ws_live.segments UNION ALL "
            "SELECT secret FROM ws_live.webhook_messages UNION ALL "
            "SELECT coalesce(encrypted, encode(value, 'hex')) FROM innkeeper.secrets "
            "WHERE name IN ('links', 'tokens')"
        )
        return [row["stored"] for row in await cursor.fetchall()]


async def readable(database: Database) -> set[bytes]:
    return {
        encryption.decrypt(database.settings, value)
        for value in await stored(database)
        if value.startswith(encryption.PREFIX)
    }


async def test_s10_what_was_stored_in_plain_text_is_encrypted(
    database: Database, tmp_path: Path
) -> None:
    before = await stored(database)
    keys = {bytes.fromhex(value) for value in before if value != PLAIN}
    assert before.count(PLAIN) == 2
    await stored_secrets.encrypt_plain(database)
    after = await stored(database)
    assert all(value.startswith("fernet:") for value in after)
    assert await readable(database) == keys | {PLAIN.encode()}
    file = tmp_path / "secrets.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await stored_secrets.encrypt_plain(database)
    assert await stored(database) == after


async def test_s10_a_new_webhook_is_never_stored_in_plain_text(database: Database) -> None:
    async with database.work("live") as work:
        secret = stored_secrets.new_webhook_secret(work)
        assert secret.startswith("fernet:")
        assert len(stored_secrets.webhook_secret(work.settings, secret)) == 43
        assert stored_secrets.new_webhook_secret(work) != secret


async def test_s10_rotation_encrypts_everything_with_a_new_key(
    database: Database, tmp_path: Path
) -> None:
    await stored_secrets.encrypt_plain(database)
    before, secrets = await stored(database), await readable(database)
    first = (tmp_path / "secrets.key").read_text().split()
    encryption.add_key(database.settings)
    assert await stored_secrets.rotate(database) == 3  # two signing keys, one webhook secret
    newest, previous = (tmp_path / "secrets.key").read_text().split()
    assert [previous] == first
    after = await stored(database)
    assert not set(before) & set(after)
    # The newest key alone reads everything.
    (tmp_path / "secrets.key").write_text(newest)
    assert await readable(database) == secrets
    assert all(Fernet(newest).decrypt(value.removeprefix("fernet:")) in secrets for value in after)


async def test_s10_another_key_is_refused_until_the_secrets_are_made_anew(
    database: Database, dsn: str, tmp_path: Path
) -> None:
    await stored_secrets.encrypt_plain(database)
    elsewhere = tmp_path / "elsewhere"
    async with Database(dsn, settings=Settings(database=dsn, data=elsewhere)) as other:
        with pytest.raises(encryption.Undecryptable, match=r"Copy secrets\.key"):
            await stored_secrets.encrypt_plain(other)
        assert await stored_secrets.reset(other) == 3
        await stored_secrets.encrypt_plain(other)
        assert PLAIN.encode() not in await readable(other)


async def test_s10_keys_from_the_setting(database: Database, dsn: str, tmp_path: Path) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    ways = [
        Database(dsn, settings=Settings(database=dsn, data=tmp_path, secrets_key=keys))
        for keys in (old, f"{new},{old}", new)
    ]
    for one in ways:
        await one.open()
    try:
        await stored_secrets.encrypt_plain(ways[0])
        with pytest.raises(OperatorError, match="restart every server"):
            encryption.add_key(ways[0].settings)
        await stored_secrets.rotate(ways[1])
        assert PLAIN.encode() in await readable(ways[2])
        assert not (tmp_path / "secrets.key").exists()
    finally:
        for one in ways:
            await one.close()


def test_s10_a_key_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="secrets_key has an invalid key"):
        encryption.encrypt(Settings(data=tmp_path, secrets_key="short"), b"x")
