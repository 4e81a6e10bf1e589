"""`ETag` and `If-Match`: versions of records as HTTP spells them (RFC 9110, 8.8.3 and 13.1.1)."""

import re
from typing import Any, Final

from innkeeper.errors import BadRequest
from innkeeper.rules.versions import Expected, version_of

MAX_LENGTH: Final = 1000
"""Bytes of an If-Match header."""
_TAG: Final = re.compile(r'\s*(?:W/)?"([^"\s,]{0,100})"\s*')


def etag(version: str) -> str:
    """A version as `ETag` shows it."""
    return f'"{version}"'


def etag_of(record: dict[str, Any]) -> str:
    """The `ETag` of a stored record."""
    return etag(version_of(record))


def expected_in(header: bytes | None) -> Expected | None:
    """What an `If-Match` header asks for; None without one. Raises `BadRequest`.

    A weak tag counts like a strong one: proxies that compress weaken tags, and ours stand for
    what is stored, not for bytes.
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
