"""`ETag` and `If-Match`: versions of records in HTTP (RFC 9110, 8.8.3 and 13.1.1)."""

import re
from typing import Any, Final

from innkeeper.errors import BadRequest
from innkeeper.rules.versions import Expected, version_of

MAX_LENGTH: Final = 1000
"""Maximum size of an If-Match header in bytes."""
_TAG: Final = re.compile(r'\s*(?:W/)?"([^"\s,]{0,100})"\s*')


def etag(version: str) -> str:
    """Format a version as an `ETag`."""
    return f'"{version}"'


def etag_of(record: dict[str, Any]) -> str:
    """Return the `ETag` of a stored record."""
    return etag(version_of(record))


def expected_in(header: bytes | None) -> Expected | None:
    """Parse an `If-Match` header; None without one. Raises `BadRequest`.

    A weak tag counts like a strong one: proxies that compress weaken tags, and our tags identify
    the stored record, not the bytes of a response.
    """
    if header is None:
        return None
    text = header.decode("latin-1").strip()
    if text == "*":
        return Expected()
    tags = [_TAG.fullmatch(part) for part in text.split(",")] if len(header) <= MAX_LENGTH else []
    if not tags or None in tags:
        raise BadRequest("If-Match must be * or a list of ETags.")
    return Expected(frozenset(tag[1] for tag in tags if tag))
