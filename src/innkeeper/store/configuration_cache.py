"""Cache of configuration in one process: a kind and a key -> the value that was read from one
database.

There are two ways to keep an entry current, and none is served for longer than both allow:

- The tables of a kind have a trigger `announce_change` (store/functions/configuration.sql and the
  control migrations), which notifies every process of each committed change; `read` caches these.
- The statement that relies on an entry compares its version: `put`.
"""

import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, TypeVar

Value = TypeVar("Value")

CHANNEL: Final = "innkeeper_configuration"
"""Channel of notifications; the payload is a kind."""
API_KEYS: Final = "api_keys"
SECRETS: Final = "secrets"
BLOCK_LIST: Final = "block_list"
IDENTITY_RULES: Final = "identity_rules"
STREAM_SETTINGS: Final = "stream_settings"
MAX_SECONDS: Final = 5.0
"""Longest time an entry without a version stays cached; a notification removes it at once."""
UNHEARD_SECONDS: Final = {SECRETS: 2.0, BLOCK_LIST: 2.0}
"""The same in a process that does not listen to notifications, such as a command."""
MAX_ENTRIES: Final = 10_000
_NONE: Final = (0.0, None)


class ConfigurationCache:
    """The entries of one `Database`, which belongs to one event loop."""

    def __init__(self) -> None:
        # Values: the monotonic time at which the entry expires, and the value.
        self._entries: defaultdict[str, dict[Hashable, tuple[float, Any]]] = defaultdict(dict)
        self._generation = 0
        self._listening = False

    def get(self, kind: str, key: Hashable) -> Any:
        """Return a cached value; None if there is none."""
        expires_at, value = self._entries[kind].get(key, _NONE)
        return value if expires_at > time.monotonic() else None

    def put(self, kind: str, key: Hashable, value: Value) -> Value:
        """Cache and return a value; the statements that use it compare its version."""
        self._store(kind, key, math.inf, value)
        return value

    async def read(self, kind: str, key: Hashable, fetch: Callable[[], Awaitable[Value]]) -> Value:
        """Return the cached value, else fetch it and cache it unless it changed meanwhile."""
        cached: Value | None = self.get(kind, key)
        if cached is not None:
            return cached
        generation = self._generation
        value = await fetch()
        seconds = MAX_SECONDS if self._listening else UNHEARD_SECONDS.get(kind, 0.0)
        if generation == self._generation:
            self._store(kind, key, time.monotonic() + seconds, value)
        return value

    def _store(self, kind: str, key: Hashable, expires_at: float, value: Any) -> None:
        entries = self._entries[kind]
        if len(entries) >= MAX_ENTRIES:
            entries.clear()
        entries[key] = (expires_at, value)

    def clear(self, kind: str) -> None:
        """Remove the entries of a kind, since one of them changed."""
        self._generation += 1
        self._entries[kind].clear()

    def listen(self, connected: bool) -> None:
        """Start or stop relying on notifications; some may have been missed, so remove all."""
        self._generation += 1
        self._listening = connected
        self._entries.clear()
