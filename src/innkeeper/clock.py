"""The one source of the current time, in UTC, at the resolution the API shows."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

_pretended: Final[ContextVar[datetime | None]] = ContextVar("pretended", default=None)


def now() -> datetime:
    """The current instant in UTC, cut to milliseconds (rule C-8 shows three decimals)."""
    instant = _pretended.get() or datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@contextmanager
def pretending(instant: datetime) -> Iterator[None]:
    """Let it be another time for this task: a demo's past happens as the present does."""
    token = _pretended.set(instant)
    try:
        yield
    finally:
        _pretended.reset(token)
