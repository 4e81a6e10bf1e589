"""Secrets that must be readable: the keys that sign links, tokens and webhook messages.

They are stored encrypted (store/encryption.py). Secrets that are only compared, such as API tokens
and passwords, are stored as a hash instead.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from innkeeper.actions.admin import audit
from innkeeper.settings import Settings
from innkeeper.store import encryption
from innkeeper.store.configuration_cache import SECRETS
from innkeeper.store.database import Database
from innkeeper.store.work import Work

LINKS: Final = "links"
TOKENS: Final = "tokens"
SIGNING_KEYS: Final = (LINKS, TOKENS)
SUPPRESSION: Final = "suppression"
SUBJECTS: Final = "subjects"
_KEY_BYTES: Final = 32
_TABLES: Final = ("segments", "exports", "messages")

Reencrypt = Callable[[str], str]


def digest_of(secret: str) -> bytes:
    """Return the stored hash of a secret: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


async def installation_key(work: Work, name: str) -> bytes:
    """Return a key or salt of this installation (32 bytes)."""
    return await work.cache.read(SECRETS, name, partial(_read_installation_key, work, name))


async def _read_installation_key(work: Work, name: str) -> bytes:
    row = await work.row("secrets.find", name=name)
    stored = row["encrypted"]
    return bytes(row["value"]) if stored is None else encryption.decrypt(work.settings, stored)


def new_webhook_secret(work: Work) -> str:
    """Create a secret and return it encrypted, as it is stored; `webhook_secret` decrypts it."""
    return encryption.encrypt(work.settings, secrets.token_urlsafe(_KEY_BYTES).encode())


def webhook_secret(settings: Settings, stored: str) -> str:
    """Decrypt the secret that messages of a webhook are signed with."""
    return encryption.decrypt(settings, stored).decode()


async def encrypt_plain(database: Database) -> None:
    """Encrypt secrets that an earlier version stored in plain text, and check that the encrypted
    ones can be decrypted; raises `Undecryptable`."""

    def to_encrypted(stored: str) -> str:
        if stored.startswith(encryption.PREFIX):
            return stored
        return encryption.encrypt(database.settings, stored.encode())

    async with database.control("operator") as work, work.transaction():
        rows = await work.all("secrets.signing_keys", names=list(SIGNING_KEYS))
        for row in rows:
            if row["encrypted"] is not None:
                encryption.decrypt(work.settings, row["encrypted"])
    if any(row["encrypted"] is None for row in rows):
        for name in await _workspaces(database):
            await _rewrite(database, name, to_encrypted)
        await _rewrite_signing_keys(database)


async def rotate(database: Database) -> int:
    """Encrypt every secret with the newest key; returns the number of secrets.

    A running process may still write values with the previous key, so that key stays usable until
    the next rotation. Raises `Undecryptable` before anything is written in the workspace.
    """

    def with_newest(stored: str) -> str:
        return encryption.encrypt(database.settings, encryption.decrypt(database.settings, stored))

    count = await _rewrite_signing_keys(database, "secrets.rotate")
    for name in await _workspaces(database):
        count += await _rewrite(database, name, with_newest)
    return count


async def reset(database: Database) -> int:
    """Replace every secret that cannot be decrypted; returns how many.

    Links and tokens that were signed with it become invalid, and receivers of webhooks need the new
    secrets.
    """

    def renewed(stored: str) -> str:
        try:
            encryption.decrypt(database.settings, stored)
        except encryption.Undecryptable:
            new = secrets.token_urlsafe(_KEY_BYTES).encode()
            return encryption.encrypt(database.settings, new)
        return stored

    count = 0
    async with database.control("operator") as work, work.transaction():
        for row in await work.all("secrets.signing_keys", names=list(SIGNING_KEYS)):
            try:
                encryption.decrypt(work.settings, row["encrypted"] or "")
            except encryption.Undecryptable:
                new = encryption.encrypt(work.settings, secrets.token_bytes(_KEY_BYTES))
                await work.run("secrets.encrypt_signing_key", name=row["name"], encrypted=new)
                count += 1
        await audit.note(work, "secrets.reset")
    for name in await _workspaces(database):
        count += await _rewrite(database, name, renewed, changed_only=True)
    return count


async def _workspaces(database: Database) -> Iterable[str]:
    async with database.control("operator") as work:
        return [row["name"] for row in await work.all("control.list_workspaces")]


async def _rewrite_signing_keys(database: Database, action: str = "") -> int:
    """Encrypt the signing keys with the newest key; returns how many. `action`: for the log."""
    async with database.control("operator") as work, work.transaction():
        rows = await work.all("secrets.signing_keys", names=list(SIGNING_KEYS))
        for row in rows:
            stored = row["encrypted"]
            plain = (
                bytes(row["value"]) if stored is None else encryption.decrypt(work.settings, stored)
            )
            new = encryption.encrypt(work.settings, plain)
            await work.run("secrets.encrypt_signing_key", name=row["name"], encrypted=new)
        if action:
            await audit.note(work, action)
    return len(rows)


async def _rewrite(
    database: Database, workspace: str, change: Reencrypt, *, changed_only: bool = False
) -> int:
    """Apply `change` to the stored webhook secrets of a workspace.

    Returns the number of different secrets, or of those that changed if `changed_only`.
    """
    async with database.work(workspace, "operator") as work, work.transaction():
        old = [row["stored"] for row in await work.all("secrets.of_webhooks")]
        pairs = [(stored, change(stored)) for stored in old]
        pairs = [(before, after) for before, after in pairs if before != after]
        if pairs:
            before, after = map(list, zip(*pairs, strict=True))
            for table in _TABLES:
                await work.run(f"secrets.encrypt_of_{table}", old=before, new=after)
    return len(pairs) if changed_only else len(old)
