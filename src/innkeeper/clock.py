"""The current time: UTC, in milliseconds, as the API shows instants."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

_simulated: Final[ContextVar[datetime | None]] = ContextVar("simulated", default=None)


def now() -> datetime:
    """Return the current instant in UTC, truncated to milliseconds (C-8: three decimals)."""
    instant = _simulated.get() or datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@contextmanager
def simulated(instant: datetime) -> Iterator[None]:
    """Make `now` return `instant` within this task; the demo writes its history this way."""
    token = _simulated.set(instant)
    try:
        yield
    finally:
        _simulated.reset(token)
