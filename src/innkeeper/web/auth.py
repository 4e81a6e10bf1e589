"""Authentication: Basic credentials against the API keys, bearer tokens of OAuth (errors.md 3)."""

import base64
import binascii
import hmac
import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import blake2b, sha256
from typing import Final

from innkeeper import clock
from innkeeper.actions.admin import keys, oauth
from innkeeper.errors import Unauthorized
from innkeeper.rules.scopes import Scope
from innkeeper.store.configuration_cache import API_KEYS
from innkeeper.store.database import Database
from innkeeper.store.work import Row, Work

TOUCH_SECONDS: Final = 60.0
"""Shortest time between two updates of the time at which a key was last used."""
_OF_EXPORTS: Final = frozenset({Scope.READ, Scope.PERSONAL_DATA})
"""Scopes of a bearer token of OAuth, which grants audience exports alone (AU-6)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated API key."""

    client_key: str
    workspace: str
    compatibility: str
    scopes: frozenset[Scope]
    client_id: str | None = None
    """The OAuth client of its bearer token, which grants audience exports alone (AU-6)."""
    expires_at: datetime | None = None
    """When the credentials expire; None: never."""

    @property
    def bearer(self) -> bool:
        """Whether the credentials are a bearer token of OAuth."""
        return self.client_id is not None

    @property
    def actor(self) -> str:
        """The name of the caller in ledgers, the audit log and signed links."""
        return self.client_id or self.client_key


NOBODY: Final = Caller("", "", "official", frozenset())
"""The caller of a request without valid credentials."""


class Keyring:
    """Checks credentials; valid ones are cached while notifications of changed keys arrive."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touched: dict[str, float] = {}

    async def workspace_of(self, client_key: str) -> Caller:
        """Return the caller of a client key alone, which grants the streams of its workspace.

        The key may also be an alias of one, such as a context id (stream-api.md 1), or the key that
        the cookies of a website's visitors are named after. Raises `Unauthorized`.
        """
        find = partial(self._find_public, client_key)
        return _valid(await self._database.cache.read(API_KEYS, (client_key, "public"), find))

    async def _find_public(self, client_key: str) -> Caller:
        if not client_key or not client_key.isprintable():
            raise Unauthorized
        async with self._database.control() as work:
            key = await keys.find(work, client_key)
            if key is None:
                key = await keys.find_alias(work, client_key)
            if key is None:
                raise Unauthorized
            return await self._caller(work, key)

    async def identify(self, authorization: bytes | None) -> Caller:
        """Return the caller of an Authorization header; raises `Unauthorized` (AU-4)."""
        if authorization is None:
            raise Unauthorized
        if authorization[:7].lower() == b"bearer ":
            return await self._bearer(authorization[7:].strip())
        # The cache is keyed by digest: the time of a lookup reveals nothing about a token. This one
        # is Python's own, which costs less than to call OpenSSL.
        digest = blake2b(authorization, digest_size=32).digest()
        find = partial(self._find_secret, authorization)
        return _valid(await self._database.cache.read(API_KEYS, digest, find))

    async def _find_secret(self, authorization: bytes) -> Caller:
        client_key, token = _credentials(authorization)
        async with self._database.control() as work:
            key = await keys.find(work, client_key)
            stored = key["token_sha256"] if key else bytes(32)
            if not hmac.compare_digest(sha256(token).digest(), stored) or key is None:
                raise Unauthorized
            return await self._caller(work, key)

    async def _bearer(self, token: bytes) -> Caller:
        """Return the caller of a bearer token; uncached, since requests with tokens are few."""
        async with self._database.control() as work:
            client = await oauth.client_of(work, token.decode("latin-1"))
        return Caller(
            client["client_key"],
            client["workspace"],
            "official",
            _OF_EXPORTS,
            client_id=client["client_id"],
        )

    async def _caller(self, work: Work, key: Row) -> Caller:
        """Return the caller with a key; store the time of its use once in `TOUCH_SECONDS`."""
        client_key, now = key["client_key"], time.monotonic()
        if now - self._touched.get(client_key, -TOUCH_SECONDS) >= TOUCH_SECONDS:
            self._touched[client_key] = now
            await keys.touch(work, client_key)
        return Caller(
            *(client_key, key["workspace"], key["compatibility"], keys.scopes_in(key)),
            expires_at=key["expires_at"],
        )


def _valid(caller: Caller) -> Caller:
    """Return a caller whose cached credentials are still valid; raises `Unauthorized`."""
    if caller.expires_at is not None and caller.expires_at <= clock.now():
        raise Unauthorized
    return caller


def _credentials(authorization: bytes) -> tuple[str, bytes]:
    """Parse the client key and API token of a Basic header; raises `Unauthorized`."""
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        raise Unauthorized
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise Unauthorized from None
    client_key, separator, token = decoded.partition(b":")
    if not separator or not client_key.isascii() or not client_key.isalnum():
        raise Unauthorized
    return client_key.decode(), token
