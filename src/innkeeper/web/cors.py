"""Cross-origin calls from browsers: the SDKs' and any page's."""

from collections.abc import Sequence
from typing import Final

from innkeeper.web.answers import Answer, Headers

REQUEST_HEADERS: Final = (
    "Accept, Authorization, Content-Type, Idempotency-Key, X-Correlation-Id, X-Library-Version, "
    "X-Client-Software-ID, X-SC-Correlation-Id, X-Sitecore-ContextId"
)
EXPOSED: Final = b"Location, X-Correlation-Id, Idempotent-Replayed, Retry-After"
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

    def preflight(self, methods: Sequence[str]) -> Answer:
        """The answer to a preflight; the allowed origin itself comes from `headers`."""
        return Answer(
            204,
            headers=[
                (b"access-control-allow-methods", ", ".join(methods).encode()),
                (b"access-control-allow-headers", REQUEST_HEADERS.encode()),
                (b"access-control-max-age", A_DAY),
                (b"vary", b"access-control-request-headers"),
            ],
        )
