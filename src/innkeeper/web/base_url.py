"""The base of every absolute URL: scheme, host and port as the caller uses them (C-6)."""

import re
from collections.abc import Mapping
from typing import Final

from starlette.types import Scope

_HOST: Final = re.compile(rb"[A-Za-z0-9.:_\[\]-]{1,255}")


def base_url(scope: Scope, headers: Mapping[bytes, bytes], public_url: str) -> str:
    """Return `https://host:port`: the configured URL, else the one in the request."""
    if public_url:
        return public_url.rstrip("/")
    host = headers.get(b"host", b"")
    if not _HOST.fullmatch(host):
        return listening_url(scope, "")
    return f"{scope['scheme']}://{host.decode()}"


def listening_url(scope: Scope, public_url: str) -> str:
    """Return the configured URL, else the address of the socket that accepted the request: the
    caller chooses no part of it."""
    if public_url:
        return public_url.rstrip("/")
    host, port = scope.get("server") or ("localhost", None)
    host = f"[{host}]" if ":" in host else host
    return f"{scope['scheme']}://{host}:{port}" if port else f"{scope['scheme']}://{host}"
