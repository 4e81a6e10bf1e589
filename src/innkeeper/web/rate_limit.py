"""Rate limit of a client key (RL-2): a token bucket for each key, in each process."""

import math
import time
from collections.abc import Callable

from innkeeper.errors import TooManyRequests


class Throttle:
    """Admits `rate` requests a second of a key, and as many at once after a pause."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`rate` 0 sets no limit."""
        self._rate = rate
        self._most = max(1.0, rate)
        self._clock = clock
        # Only keys that authenticated get a bucket, so there are as many as there are keys.
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, client_key: str) -> None:
        """Take one token; raises `TooManyRequests` when there is none."""
        if not self._rate:
            return
        now = self._clock()
        left, at = self._buckets.get(client_key, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        if left < 1:
            self._buckets[client_key] = (left, now)
            raise TooManyRequests(math.ceil((1 - left) / self._rate))
        self._buckets[client_key] = (left - 1, now)
