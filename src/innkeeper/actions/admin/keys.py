"""API keys: a public client key and a secret token, which is displayed once."""

import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from innkeeper.actions.admin import audit
from innkeeper.actions.admin.stored_secrets import digest_of
from innkeeper.errors import Conflict, Forbidden, OperatorError, existing
from innkeeper.rules.audited import ALIAS, KEY
from innkeeper.rules.identity_keys import digest
from innkeeper.rules.scopes import DEFAULT_SCOPES, EVERY_SCOPE, Scope, in_order
from innkeeper.rules.versions import Expected
from innkeeper.store.configuration_cache import API_KEYS
from innkeeper.store.migrate import LOCK
from innkeeper.store.work import Row, Work

MOST_EXPIRING: Final = 20
"""Keys that expire which a workspace has at a time: the oldest is deleted for another."""
Compatibility = Literal["open", "official"]

_ALPHANUMERICS: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key with its token, which cannot be displayed again."""

    client_key: str
    api_token: str
    compatibility: Compatibility
    scopes: frozenset[Scope] = DEFAULT_SCOPES
    expires_at: datetime | None = None


async def create(
    work: Work,
    workspace: str,
    compatibility: Compatibility = "open",
    name: str = "",
    *,
    scopes: frozenset[Scope] = DEFAULT_SCOPES,
    by: frozenset[Scope] = EVERY_SCOPE,
    expires_at: datetime | None = None,
) -> NewKey:
    """Create a key for a workspace; it is valid until `expires_at`, or until it is revoked.

    Raises `Unknown` if there is no such workspace, and `Forbidden` for a scope that the caller
    lacks (`by`).
    """
    _check_scopes(scopes, by)
    existing(await work.one("control.find_workspace", name=workspace), "Workspace", workspace)
    key = NewKey(
        "".join(secrets.choice(_ALPHANUMERICS) for _ in range(32)),
        secrets.token_urlsafe(32),
        compatibility,
        scopes,
        expires_at,
    )
    async with work.transaction():
        if expires_at is not None:
            most = MOST_EXPIRING - 1
            await work.run("control.delete_expiring", workspace=workspace, most=most)
        await work.run(
            "control.create_key",
            client_key=key.client_key,
            token_sha256=digest_of(key.api_token),
            workspace=workspace,
            compatibility=compatibility,
            name=name,
            scopes=in_order(scopes),
            expires_at=expires_at,
        )
        after: Row = {"client_key": key.client_key, "name": name, "compatibility": compatibility}
        after |= {"scopes": in_order(scopes), "api_token": "new"}
        await audit.record(work, KEY, "create", None, after, workspace=workspace)
    return key


async def create_first(work: Work, workspace: str) -> NewKey | None:
    """Create a key if the workspace never had one, else return None; safe in parallel processes."""
    async with work.transaction():
        await work.run("control.one_at_a_time", lock=LOCK)
        if await work.one("control.list_keys", workspace=workspace) is not None:
            return None
        return await create(work, workspace, name="first")


async def find(work: Work, client_key: str) -> Row | None:
    """Find a key that is not revoked: client_key, token_sha256, workspace, compatibility, …"""
    return await work.one("control.find_key", client_key=client_key)


async def find_alias(work: Work, alias: str) -> Row | None:
    """Find the key, not revoked, of which a context id is an alias (stream-api.md 1)."""
    return await work.one("control.find_alias", alias=alias)


async def list_aliases(work: Work) -> list[Row]:
    """List every alias of a client key: alias, client_key, created_at."""
    return await work.all("control.list_aliases")


async def set_alias(work: Work, alias: str, client_key: str, *, only_new: bool = False) -> None:
    """Make a context id an alias of a key, at once here and within moments in other processes.

    Raises OperatorError for an unknown key, and `Conflict` if `only_new` is set and it is an alias
    of another key.
    """
    async with work.transaction():
        key = await find(work, client_key)
        if key is None:
            raise _unknown(client_key)
        stored = await work.one("control.lock_alias", alias=alias)
        if only_new and stored is not None and stored["client_key"] != client_key:
            raise Conflict(f"{alias} is an alias of {stored['client_key']}: remove it first.")
        row = await work.one("control.set_alias", alias=alias, client_key=client_key)
        await audit.record(work, ALIAS, "create", stored, row, workspace=key["workspace"])
        work.drop_cached(API_KEYS)


async def delete_alias(work: Work, alias: str) -> None:
    """Delete an alias of a key with immediate effect; raises OperatorError for an unknown one."""
    async with work.transaction():
        row = await work.one("control.delete_alias", alias=alias)
        if row is None:
            raise OperatorError(f"There is no alias {alias}.")
        key = await find(work, row["client_key"])
        workspace = key["workspace"] if key else None
        await audit.record(work, ALIAS, "remove", row, None, workspace=workspace)
        work.drop_cached(API_KEYS)


async def list_all(work: Work, workspace: str | None = None) -> list[Row]:
    """List every key, or those of a workspace, including revoked ones, oldest first, without
    tokens."""
    return await work.all("control.list_keys", workspace=workspace)


async def revoke(work: Work, client_key: str) -> None:
    """Revoke a key, at once here and within moments in other processes.

    Raises OperatorError for an unknown or revoked key.
    """
    async with work.transaction():
        stored = await _lock_key(work, client_key)
        await work.run("control.revoke_key", client_key=client_key)
        await _record(work, "revoke", stored, {"revoked": True})


def version_of(key: Row) -> str:
    """Return the version of a key row, which changes with its compatibility, scopes and token."""
    scopes = str(in_order(scopes_in(key)))
    return digest("key", key["compatibility"], scopes, bytes(key["token_sha256"]).hex()).hex


async def list_versions(work: Work, workspace: str) -> dict[str, str]:
    """Return client key -> `version_of` each key of a workspace that is not revoked."""
    rows = await work.all("control.keys_with_digests", workspace=workspace)
    return {row["client_key"]: version_of(row) for row in rows}


async def rotate(
    work: Work,
    client_key: str,
    *,
    by: frozenset[Scope] = EVERY_SCOPE,
    expected: Expected | None = None,
) -> NewKey:
    """Replace the token of a key; the old one is no longer valid.

    The new token grants all scopes of the key, so the caller must have them (`by`). Raises
    OperatorError for an unknown key, `Forbidden` for a scope that the caller lacks, and `Outdated`
    if the `version_of` the key is not the expected one.
    """
    token = secrets.token_urlsafe(32)
    async with work.transaction():
        stored = await _lock_key(work, client_key, expected)
        _check_scopes(scopes_in(stored), by)
        await work.run("control.rotate_key", client_key=client_key, token_sha256=digest_of(token))
        # Two different values: of a secret, only the change is recorded.
        await _record(work, "rotate", {**stored, "api_token": "old"}, {"api_token": "new"})
    return NewKey(client_key, token, stored["compatibility"], scopes_in(stored))


async def set_compatibility(
    work: Work, client_key: str, compatibility: Compatibility, *, expected: Expected | None = None
) -> None:
    """Set which API documents apply to a key, at once here and within moments elsewhere.

    Raises OperatorError, and `Outdated` if the `version_of` the key is not the expected one.
    """
    async with work.transaction():
        stored = await _lock_key(work, client_key, expected)
        await work.run(
            "control.set_compatibility", client_key=client_key, compatibility=compatibility
        )
        await _record(work, "compatibility", stored, {"compatibility": compatibility})


async def set_scopes(
    work: Work,
    client_key: str,
    scopes: frozenset[Scope],
    *,
    by: frozenset[Scope] = EVERY_SCOPE,
    expected: Expected | None = None,
) -> None:
    """Set the scopes of a key, at once here and within moments in other processes.

    A caller can neither grant nor withdraw a scope that they lack (`by`). Raises OperatorError,
    `Forbidden`, and `Outdated` if the `version_of` the key is not the expected one.
    """
    async with work.transaction():
        stored = await _lock_key(work, client_key, expected)
        _check_scopes(scopes ^ scopes_in(stored), by)
        await work.run("control.set_scopes", client_key=client_key, scopes=in_order(scopes))
        await _record(work, "scopes", stored, {"scopes": in_order(scopes)})


async def _lock_key(work: Work, client_key: str, expected: Expected | None = None) -> Row:
    """Lock a key until the transaction ends; raises OperatorError, and `Outdated`."""
    row = await work.one("control.lock_key", client_key=client_key)
    if row is None:
        raise _unknown(client_key)
    if expected is not None:
        expected.check(version_of(row))
    return row


async def _record(work: Work, verb: str, stored: Row, changes: Row) -> None:
    """Record the change of a key in the audit log; cached credentials are read again."""
    before = {**stored, "scopes": in_order(scopes_in(stored))}
    after = {**before, **changes}
    await audit.record(work, KEY, verb, before, after, workspace=stored["workspace"])
    work.drop_cached(API_KEYS)


def scopes_in(row: Row) -> frozenset[Scope]:
    """Return the scopes of a stored key."""
    return frozenset(map(Scope, row["scopes"]))


def _check_scopes(scopes: frozenset[Scope], by: frozenset[Scope]) -> None:
    """Raise `Forbidden` for scopes that the caller lacks (`by`)."""
    lacking = in_order(scopes - by)
    if lacking:
        raise Forbidden(f"You cannot give a key scopes that you do not have: {', '.join(lacking)}.")


async def touch(work: Work, client_key: str) -> None:
    """Store that a key was used now, at most once a minute."""
    await work.run("control.touch_key", client_key=client_key)


def _unknown(client_key: str) -> OperatorError:
    return OperatorError(f"There is no key {client_key} that has not been revoked.")
