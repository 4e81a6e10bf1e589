"""The one source of the current time, in UTC, at the resolution the API shows."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current instant in UTC, cut to milliseconds (rule C-8 shows three decimals)."""
    instant = datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
