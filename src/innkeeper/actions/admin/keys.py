"""API keys: a public client key, and a secret token that is shown once."""

import hashlib
import secrets
import string
from dataclasses import dataclass
from typing import Final, Literal

from innkeeper import clock
from innkeeper.errors import LinkExpired, OperatorError
from innkeeper.rules.scopes import DEFAULT_SCOPES, EVERY_SCOPE, Scope, in_order
from innkeeper.store.migrate import LOCK
from innkeeper.store.work import Row, Work

Compatibility = Literal["open", "official"]

# The channel on which every process learns that a key changed; the payload is the client key.
CHANNEL: Final = "innkeeper_keys"
_ALPHANUMERICS: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its token, which nobody can show again."""

    client_key: str
    api_token: str
    compatibility: Compatibility
    scopes: frozenset[Scope] = DEFAULT_SCOPES


def token_digest(token: str) -> bytes:
    """What is stored of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def create(
    work: Work,
    workspace: str,
    compatibility: Compatibility = "open",
    name: str = "",
    *,
    scopes: frozenset[Scope] = DEFAULT_SCOPES,
    by: frozenset[Scope] = EVERY_SCOPE,
) -> NewKey:
    """Create a key for a workspace, with no scope that its maker lacks (`by`).

    Raises OperatorError when there is no such workspace, and `Forbidden`.
    """
    _check_width(scopes, by)
    if await work.one("control.find_workspace", name=workspace) is None:
        raise OperatorError(f"There is no workspace {workspace}.")
    key = NewKey(
        "".join(secrets.choice(_ALPHANUMERICS) for _ in range(32)),
        secrets.token_urlsafe(32),
        compatibility,
        scopes,
    )
    async with work.transaction():
        await work.run(
            "control.create_key",
            client_key=key.client_key,
            token_sha256=token_digest(key.api_token),
            workspace=workspace,
            compatibility=compatibility,
            name=name,
            scopes=in_order(scopes),
            now=clock.now(),
        )
        await _announce(work, key.client_key)
    return key


async def first(work: Work, workspace: str) -> NewKey | None:
    """A key for a workspace that never had one, however many processes ask at once; else None."""
    async with work.transaction():
        await work.run("control.one_at_a_time", lock=LOCK)
        if await work.one("control.list_keys", workspace=workspace) is not None:
            return None
        return await create(work, workspace, name="first")


async def find(work: Work, client_key: str) -> Row | None:
    """The key that has not been revoked: client_key, token_sha256, workspace, compatibility, …"""
    return await work.one("control.find_key", client_key=client_key)


async def find_alias(work: Work, alias: str) -> Row | None:
    """The key, not revoked, that a context id stands for (stream-api.md 1)."""
    return await work.one("control.find_alias", alias=alias)


async def aliases(work: Work) -> list[Row]:
    """Every alias of a client key: alias, client_key, created_at."""
    return await work.all("control.list_aliases")


async def name_key(work: Work, alias: str, client_key: str) -> None:
    """Let a context id stand for a key, at once and in every process; raises OperatorError."""
    async with work.transaction():
        if await find(work, client_key) is None:
            raise _unknown(client_key)
        await work.run("control.name_key", alias=alias, client_key=client_key)
        await _announce(work, client_key)


async def forget_alias(work: Work, alias: str) -> None:
    """Take an alias of a key away at once; raises OperatorError for an unknown one."""
    async with work.transaction():
        if not await work.run("control.forget_alias", alias=alias):
            raise OperatorError(f"There is no alias {alias}.")
        await _announce(work, alias)


async def list_all(work: Work, workspace: str | None = None) -> list[Row]:
    """Every key, or a workspace's, revoked ones too, oldest first, without tokens."""
    return await work.all("control.list_keys", workspace=workspace)


async def revoke(work: Work, client_key: str) -> None:
    """End a key at once in every process; raises OperatorError for an unknown or ended one."""
    async with work.transaction():
        if not await work.run("control.revoke_key", client_key=client_key, now=clock.now()):
            raise _unknown(client_key)
        await _announce(work, client_key)


async def rotate(work: Work, client_key: str, *, by: frozenset[Scope] = EVERY_SCOPE) -> NewKey:
    """Another token for a key, the old one ends; raises OperatorError for an unknown key.

    The new token does all that the key may, so nobody gets one of a key with a scope that they
    lack (`by`): raises `Forbidden`.
    """
    token = secrets.token_urlsafe(32)
    async with work.transaction():
        known = await find(work, client_key)
        if known is not None:
            _check_width(scopes_in(known), by)
        row = await work.one(
            "control.rotate_key", client_key=client_key, token_sha256=token_digest(token)
        )
        if row is None:
            raise _unknown(client_key)
        await _announce(work, client_key)
    return NewKey(client_key, token, row["compatibility"], scopes_in(row))


async def set_compatibility(work: Work, client_key: str, compatibility: Compatibility) -> None:
    """Let other documents decide for a key, at once in every process; raises OperatorError."""
    async with work.transaction():
        if not await work.run(
            "control.set_compatibility", client_key=client_key, compatibility=compatibility
        ):
            raise _unknown(client_key)
        await _announce(work, client_key)


async def set_scopes(
    work: Work, client_key: str, scopes: frozenset[Scope], *, by: frozenset[Scope] = EVERY_SCOPE
) -> None:
    """Change what a key may do, at once and in every process.

    Who lacks a scope (`by`) can neither give nor take it. Raises OperatorError, `Forbidden`.
    """
    async with work.transaction():
        known = await find(work, client_key)
        if known is None:
            raise _unknown(client_key)
        _check_width(scopes ^ scopes_in(known), by)
        await work.run("control.set_scopes", client_key=client_key, scopes=in_order(scopes))
        await _announce(work, client_key)


def scopes_in(row: Row) -> frozenset[Scope]:
    """The scopes of a stored key."""
    return frozenset(map(Scope, row["scopes"]))


def _check_width(scopes: frozenset[Scope], by: frozenset[Scope]) -> None:
    lacking = in_order(scopes - by)
    if lacking:
        raise LinkExpired(f"A key cannot be wider than its maker: you lack {', '.join(lacking)}.")


async def touch(work: Work, client_key: str) -> None:
    """Note that a key was used now; written at most once a minute."""
    await work.run("control.touch_key", client_key=client_key, now=clock.now())


async def _announce(work: Work, client_key: str) -> None:
    await work.run("control.announce_key", client_key=client_key)


def _unknown(client_key: str) -> OperatorError:
    return OperatorError(f"There is no key {client_key} that has not been revoked.")
