"""Check and convert values from JSON: storable text, numbers, instants.

Functions raise `ValueRefused` with a reason in the style of contract errors.md section 2.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

MAX_TEXT_BYTES: Final = 32 * 1024
"""Longest string in bytes of UTF-8 (RL-4)."""
MAX_KEY: Final = 255
"""Longest member name of a data extension in characters (RL-4)."""
INT32: Final = 2**31 - 1
LARGEST_NUMBER: Final = Decimal("1.7976931348623157E+308")
SMALLEST_EXPONENT: Final = -400
DEEPEST: Final = 100
"""Most nested levels of arrays and objects in JSON that is stored as sent."""

NOT_VALID = "not a valid value"
NOT_AN_INSTANT = "must be an ISO 8601 date-time"
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I | re.ASCII)
UNSTORABLE = "must not contain U+0000 or unpaired surrogates"


class ValueRefused(ValueError):
    """A value was rejected by its kind; the first argument is the reason."""

    def __init__(self, reason: str, at: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at
        """Path inside the value, e.g. `[0].provider`; empty for the value itself."""


def storable(text: str) -> str:
    """Return `text`; raises `ValueRefused` if PostgreSQL cannot store it (CT-8) or it is longer
    than the limit (RL-4)."""
    if "\x00" in text:
        raise ValueRefused(UNSTORABLE)
    if len(text) * 4 > MAX_TEXT_BYTES or not text.isascii():
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise ValueRefused(UNSTORABLE) from None
        if size > MAX_TEXT_BYTES:
            raise ValueRefused(f"size must be between 0 and {MAX_TEXT_BYTES} bytes")
    return text


def ref_in(text: str) -> UUID | None:
    """Parse a ref, in any case; None if the text is none."""
    return UUID(text) if _UUID.fullmatch(text) else None


def whole_in(text: str) -> int | None:
    """Parse a whole number of at most nine digits; None if the text is none."""
    return int(text) if len(text) < 10 and text.isascii() and text.isdecimal() else None


def number(value: Any) -> int | Decimal:
    """Return a number exactly as written: 12 stays 12 and 12.0 stays 12.0."""
    if type(value) is int and -INT32 <= value <= INT32:
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueRefused("must be a number")
    if isinstance(value, int):
        if abs(value) > LARGEST_NUMBER:
            raise ValueRefused("number is too large")
        return value
    exponent = value.as_tuple().exponent
    # copy_abs, because abs rounds and overflows.
    if not isinstance(exponent, int) or value.copy_abs() > LARGEST_NUMBER:
        raise ValueRefused("number is too large")
    if exponent < SMALLEST_EXPONENT:
        raise ValueRefused("number is too precise")
    if not value:
        # jsonb has no negative zero.
        value = value.copy_abs()
    # jsonb turns 1e3 into 1000; do the same, so that the response equals what is stored.
    return Decimal(format(value, "f")) if exponent > 0 or "E" in str(value) else value


_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](\d{2}:\d{2})(?::(\d{2}))?(?:[.,](\d{1,9}))?"
    r"([Zz]|[+-]\d{2}(?::?\d{2}(?::\d{2})?)?)?)?",
    re.ASCII,
)
_USUAL: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{3})?(?:Z|\+00:00)", re.ASCII
)


def instant(value: Any) -> datetime:
    """Parse a date-time as a UTC instant (C-8): ISO 8601, also as PostgreSQL prints it.

    A space may replace the `T`, a comma the decimal point, and an offset may consist of hours
    only or include seconds, as local times of the 19th century do. A text without an offset is
    UTC.
    """
    if isinstance(value, str) and _USUAL.fullmatch(value):
        # The format of `iso`, and so of every stored text, and that of Python: parsed here in a
        # fifth of the time.
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass  # a leap second, or a day that does not exist
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueRefused(NOT_AN_INSTANT)
    day, minutes, seconds, fraction, offset = match.groups()
    # RFC 3339 allows a leap second, datetime does not: use the last instant before it.
    if seconds == "60":
        seconds, fraction = "59", "999"
    try:
        read = datetime.fromisoformat(f"{day}T{minutes or '00:00'}:{seconds or '00'}")
        read = read.replace(microsecond=int((fraction or "0").ljust(6, "0")[:3]) * 1000)
        if offset and offset not in "Zz":
            east = _east(offset[1:].replace(":", ""))
            read = read - east if offset[0] == "+" else read + east
    except (ValueError, OverflowError):
        raise ValueRefused(NOT_AN_INSTANT) from None
    return read.replace(tzinfo=UTC)


def _east(digits: str) -> timedelta:
    """Return the offset written in digits: hours, minutes, seconds; raises `ValueError`."""
    hours, minutes, seconds = (int(digits[index : index + 2] or 0) for index in (0, 2, 4))
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError(digits)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


@lru_cache(4096)
def iso(moment: datetime) -> str:
    """Format an instant as `2024-01-01T16:17:16.000Z`: UTC with three decimals (C-8).

    Cached, because the instants of a record are mostly equal and a list has hundreds of them.
    """
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def plain(value: Any, spell: Callable[[str], str] = str) -> Any:
    """Convert a value to types that JSON can represent, with the names of members as `spell`
    returns them."""
    if isinstance(value, Mapping):
        return {spell(str(name)): plain(item, spell) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, spell) for item in value]
    if isinstance(value, datetime):
        return iso(value)
    return str(value) if isinstance(value, UUID) else value


def opaque(value: Any, depth: int = DEEPEST) -> Any:
    """Return any JSON value; raises `ValueRefused` only for what cannot be stored."""
    if isinstance(value, str):
        return storable(value)
    if not depth and isinstance(value, dict | list):
        raise ValueRefused(f"a maximum of {DEEPEST} levels is allowed")
    if isinstance(value, dict):
        # Most members are text, which needs no further call.
        return {
            storable(key): storable(member) if type(member) is str else opaque(member, depth - 1)
            for key, member in value.items()
        }
    if isinstance(value, list):
        return [opaque(element, depth - 1) for element in value]
    if isinstance(value, bool) or value is None:
        return value
    return number(value)


PRIMITIVE_SCHEMA: Final[dict[str, Any]] = {"type": ["string", "boolean", "number"]}


def primitive(value: Any) -> str | bool | int | Decimal:
    """Return the value of a data extension's pair (X-4): string, boolean or number."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return number(value)
    raise ValueRefused("value must be a string, boolean or number")
