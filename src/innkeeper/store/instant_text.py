"""Instants in UTC as text, as the API shows them (C-8)."""

from typing import Final

from psycopg.abc import Buffer
from psycopg.adapt import Loader

_MICROSECONDS: Final = len("2024-01-01 16:17:16.123456+00")


class InstantText(Loader):
    """Loads instants in UTC as text, `2024-01-01T16:17:16.000Z` (C-8), without creating a
    `datetime`."""

    def load(self, data: Buffer) -> str:
        return instant_text(str(data, "ascii"))


def instant_text(text: str) -> str:
    """Return an instant that the database sent as the API shows it."""
    if len(text) == _MICROSECONDS:
        return f"{text[:10]}T{text[11:23]}Z"
    # The database leaves out zeros at the end of the fraction.
    fraction = text[20:-3] if text[19] == "." else ""
    return f"{text[:10]}T{text[11:19]}.{fraction[:3]:0<3}Z"
