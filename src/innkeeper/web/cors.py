"""CORS: cross-origin requests from browsers, by the SDKs and by any page."""

import re
from collections.abc import Sequence
from typing import Final

from innkeeper.web.responses import ApiResponse, Headers

REQUEST_HEADERS: Final = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, X-Correlation-Id, "
    "X-Library-Version, X-Client-Software-ID, X-SC-Correlation-Id, X-Sitecore-ContextId"
)
_DEFAULT_HEADERS: Final = frozenset(REQUEST_HEADERS.lower().encode().split(b", "))
_HEADER_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
EXPOSED_HEADERS: Final = (
    b"ETag, Location, X-Correlation-Id, Idempotent-Replayed, Retry-After, Innkeeper-Ignored"
)
MAX_AGE_SECONDS: Final = b"86400"


class Cors:
    """The origins that may send requests, and the CORS headers of responses to them."""

    def __init__(self, origins: str) -> None:
        """`origins`: `*`, or a comma-separated list; empty for none."""
        listed = {origin.strip().encode() for origin in origins.split(",") if origin.strip()}
        self._any = b"*" in listed
        self._listed = listed

    def headers(self, origin: bytes | None) -> Headers:
        """Return the CORS headers of the response to a request from `origin`."""
        if origin is None or not (self._any or origin in self._listed):
            return []
        shared = [(b"access-control-expose-headers", EXPOSED_HEADERS)]
        if self._any:
            return [(b"access-control-allow-origin", b"*"), *shared]
        return [(b"access-control-allow-origin", origin), (b"vary", b"origin"), *shared]

    def preflight(self, methods: Sequence[str], requested: bytes | None) -> ApiResponse:
        """Respond to a preflight; `headers` adds the allowed origin.

        `requested`: the value of Access-Control-Request-Headers. Every valid name in it is
        allowed, since tracing tools add names of their own (F11).
        """
        return ApiResponse(
            204,
            headers=[
                (b"access-control-allow-methods", ", ".join(methods).encode()),
                (b"access-control-allow-headers", _allowed_headers(requested)),
                (b"access-control-max-age", MAX_AGE_SECONDS),
                (b"vary", b"access-control-request-headers"),
            ],
        )


_LONGEST_LIST: Final = 4096
"""Bytes of a list of header names that are read; the rest is ignored."""


def _allowed_headers(requested: bytes | None) -> bytes:
    """Return the default names, then every other valid name of `requested`."""
    names = [name.strip(b" \t") for name in (requested or b"")[:_LONGEST_LIST].split(b",")]
    added = [
        name
        for name in names
        if _HEADER_NAME.fullmatch(name) and name.lower() not in _DEFAULT_HEADERS
    ]
    return b", ".join([REQUEST_HEADERS.encode(), *added])
