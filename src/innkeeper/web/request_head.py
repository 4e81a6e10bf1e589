"""Normalize a request's path and cookies for every application (F1, F14)."""

import re
from typing import Final
from urllib.parse import unquote

from starlette.types import Scope

_BASE: Final = re.compile(rb"/+(?:(?:v?\d+(?:\.\d+)?|innkeeper|events)/+)*", re.IGNORECASE)
_OWN_COOKIE: Final = re.compile(rb";[ \t]*((?:__Host-)?innkeeper_[^;=]*=[^;]*)")
_LONG_COOKIES: Final = 8192
"""Longest Cookie header in bytes from which the cookies of others are not removed."""
_SLASHES: Final = re.compile(rb"/{2,}")


def normalize_scope(scope: Scope) -> Scope:
    """Return the scope of an HTTP request with the path that `collapse_slashes` returns."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if b"//" not in raw:
        return scope
    path = collapse_slashes(raw)
    return {**scope, "raw_path": path, "path": unquote(path.decode("latin-1"))}


def collapse_slashes(raw_path: bytes) -> bytes:
    """Remove double slashes that come from a base URL that ends in a slash: `//v2.1/guests` and
    `/v2.1//guests` become `/v2.1/guests`.

    Slashes after the base stay: an empty reference must not address another resource.
    """
    base = _BASE.match(raw_path)
    if base is None:
        return raw_path
    return _SLASHES.sub(b"/", base[0]) + raw_path[base.end() :]


def remove_cookies(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Remove quoted cookies, which Innkeeper never sets, and from a long header the cookies of
    others, each of which costs a step of Python.

    Python's `http.cookies` before 3.11.10 and 3.12.6 takes quadratic time to unquote cookies.
    """
    return [(name, _plain(value) if name == b"cookie" else value) for name, value in headers]


def _plain(cookies: bytes) -> bytes:
    if len(cookies) > _LONG_COOKIES:
        cookies = _own_cookies(cookies)
    return _unquoted_cookies(cookies) if b'"' in cookies else cookies


def _unquoted_cookies(value: bytes) -> bytes:
    return b";".join(chunk for chunk in value.split(b";") if b'"' not in chunk)


def _own_cookies(value: bytes) -> bytes:
    return b"; ".join(_OWN_COOKIE.findall(b";" + value))


def is_screen_path(path: str) -> bool:
    """Whether the path is one of the screens, whose errors are pages."""
    return path in ("/", "/login", "/logout", "/w", "/ui") or path.startswith(("/w/", "/ui/"))
