"""Cross-origin calls from browsers: the SDKs' and any page's."""

import re
from collections.abc import Sequence
from typing import Final

from innkeeper.web.responses import ApiResponse, Headers

REQUEST_HEADERS: Final = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, X-Correlation-Id, "
    "X-Library-Version, X-Client-Software-ID, X-SC-Correlation-Id, X-Sitecore-ContextId"
)
_USUAL: Final = frozenset(REQUEST_HEADERS.lower().encode().split(b", "))
_HEADER_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
EXPOSED: Final = (
    b"ETag, Location, X-Correlation-Id, Idempotent-Replayed, Retry-After, Innkeeper-Ignored"
)
A_DAY: Final = b"86400"


class Cors:
    """Which origins may call, and what they are told."""

    def __init__(self, origins: str) -> None:
        """`origins`: `*`, or a comma-separated list; empty for none."""
        listed = {origin.strip().encode() for origin in origins.split(",") if origin.strip()}
        self._any = b"*" in listed
        self._listed = listed

    def headers(self, origin: bytes | None) -> Headers:
        """What an answer to a request from `origin` carries."""
        if origin is None or not (self._any or origin in self._listed):
            return []
        shared = [(b"access-control-expose-headers", EXPOSED)]
        if self._any:
            return [(b"access-control-allow-origin", b"*"), *shared]
        return [(b"access-control-allow-origin", origin), (b"vary", b"origin"), *shared]

    def preflight(self, methods: Sequence[str], requested: bytes | None) -> ApiResponse:
        """The answer to a preflight; the allowed origin itself comes from `headers`.

        `requested`: the value of Access-Control-Request-Headers. Every valid name in it is
        allowed, since tracing tools add names of their own (F11).
        """
        return ApiResponse(
            204,
            headers=[
                (b"access-control-allow-methods", ", ".join(methods).encode()),
                (b"access-control-allow-headers", _allowed_headers(requested)),
                (b"access-control-max-age", A_DAY),
                (b"vary", b"access-control-request-headers"),
            ],
        )


_LONGEST_LIST: Final = 4096
"""Bytes of a list of header names that are looked at."""


def _allowed_headers(requested: bytes | None) -> bytes:
    """The usual names, then every valid one of `requested` that is not among them."""
    names = [name.strip(b" \t") for name in (requested or b"")[:_LONGEST_LIST].split(b",")]
    added = [name for name in names if _HEADER_NAME.fullmatch(name) and name.lower() not in _USUAL]
    return b", ".join([REQUEST_HEADERS.encode(), *added])
