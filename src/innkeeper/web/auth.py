"""Who is calling: Basic credentials against the API keys (errors.md 3)."""

import base64
import binascii
import hmac
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from innkeeper.actions.admin import keys, oauth
from innkeeper.errors import Unauthorized
from innkeeper.rules.scopes import Scope
from innkeeper.store.database import Database
from innkeeper.store.notifications import Notifications
from innkeeper.store.work import Row, Work

CACHE_SECONDS: Final = 5.0
"""Longest time a known credential is trusted without asking; a notice ends it at once."""
CACHE_SIZE: Final = 10_000
TOUCH_SECONDS: Final = 60.0
_OF_EXPORTS: Final = frozenset({Scope.READ, Scope.PERSONAL_DATA})
"""Scopes of a bearer token of OAuth, which opens audience exports alone (AU-6)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated API key."""

    client_key: str
    workspace: str
    compatibility: str
    scopes: frozenset[Scope]
    client_id: str | None = None
    """The OAuth client whose token it came with, which opens audience exports alone (AU-6)."""

    @property
    def bearer(self) -> bool:
        """Whether it came with a token of OAuth."""
        return self.client_id is not None

    @property
    def actor(self) -> str:
        """Who acts, as ledgers, audit log and signed links name it."""
        return self.client_id or self.client_key


class Keyring:
    """Checks credentials; remembers good ones until told to forget."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._opened: dict[tuple[str, bool], tuple[float, Caller]] = {}
        self._touched: dict[str, float] = {}
        self._generation = 0
        self.notices: Notifications | None = None
        """Who tells of changed keys; nothing is remembered while it does not listen."""

    def forget(self, *_: object) -> None:
        """A key changed, or notices may have been missed: ask the database again."""
        self._generation += 1
        self._known.clear()
        self._opened.clear()

    async def workspace_of(self, client_key: str, *, aliases: bool = False) -> Caller:
        """What a client key alone opens: its workspace's streams; raises `Unauthorized`.

        `aliases`: it may also be a context id that stands for a key (stream-api.md 1).
        """
        known = self._opened.get((client_key, aliases))
        now = time.monotonic()
        if known is not None and known[0] > now:
            return known[1]
        if not client_key or not client_key.isprintable():
            raise Unauthorized
        generation = self._generation
        async with self._database.control() as work:
            found = await keys.find(work, client_key)
            if found is None and aliases:
                found = await keys.find_alias(work, client_key)
            if found is None:
                raise Unauthorized
            await self._touch(work, found["client_key"], now)
        caller = _caller(found)
        if self._may_remember(generation):
            if len(self._opened) >= CACHE_SIZE:
                self._opened.clear()
            self._opened[client_key, aliases] = (now + CACHE_SECONDS, caller)
        return caller

    async def identify(self, authorization: bytes | None) -> Caller:
        """The caller behind an Authorization header; raises `Unauthorized` (AU-4)."""
        if authorization is None:
            raise Unauthorized
        if authorization[:7].lower() == b"bearer ":
            return await self._bearer(authorization[7:].strip())
        # Known headers are found by digest, so the time of the search tells nothing of a token.
        digest = sha256(authorization).digest()
        known = self._known.get(digest)
        now = time.monotonic()
        if known is not None and known[0] > now:
            return known[1]
        client_key, token = _credentials(authorization)
        generation = self._generation
        async with self._database.control() as work:
            found = await keys.find(work, client_key)
            stored = found["token_sha256"] if found else bytes(32)
            if not hmac.compare_digest(sha256(token).digest(), stored) or found is None:
                raise Unauthorized
            await self._touch(work, client_key, now)
        caller = _caller(found)
        if self._may_remember(generation):
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            self._known[digest] = (now + CACHE_SECONDS, caller)
        return caller

    async def _bearer(self, token: bytes) -> Caller:
        """The caller behind a token; never remembered, since the reads it opens are few."""
        async with self._database.control() as work:
            found = await oauth.client_of(work, token.decode("latin-1"))
        return Caller(
            found["client_key"],
            found["workspace"],
            "official",
            _OF_EXPORTS,
            client_id=found["client_id"],
        )

    async def _touch(self, work: Work, client_key: str, now: float) -> None:
        if now - self._touched.get(client_key, -TOUCH_SECONDS) >= TOUCH_SECONDS:
            self._touched[client_key] = now
            await keys.touch(work, client_key)

    def _may_remember(self, generation: int) -> bool:
        # A notice that came while we asked may have been about this key.
        listens = self.notices is not None and self.notices.connected
        return listens and generation == self._generation


def _caller(key: Row) -> Caller:
    return Caller(key["client_key"], key["workspace"], key["compatibility"], keys.scopes_in(key))


def _credentials(authorization: bytes) -> tuple[str, bytes]:
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
