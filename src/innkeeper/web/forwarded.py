"""Messages between a server process and its process for large requests: frames over two pipes."""

import asyncio
from typing import Final

import msgspec
from starlette.types import Scope

from innkeeper.web.request_counters import Counts

_LENGTH_BYTES: Final = 4
_SCOPE_MEMBERS: Final = ("method", "path", "raw_path", "query_string", "headers", "scheme")

Headers = list[tuple[bytes, bytes]]


class ForwardedRequest(msgspec.Struct):
    """A request whose body was read and decoded."""

    number: int
    """Number by which the response is assigned to its request."""
    method: str
    path: str
    raw_path: bytes
    query_string: bytes
    headers: Headers
    scheme: str
    server: tuple[str, int | None] | None
    body: bytes

    @classmethod
    def of(cls, number: int, scope: Scope, body: bytes) -> "ForwardedRequest":
        """Copy the parts of an ASGI scope that the APIs read; `body` is decoded, so headers of its
        encoding are left out."""
        raw_path = scope.get("raw_path") or scope["path"].encode()
        headers = [
            (name, value)
            for name, value in scope["headers"]
            if name not in (b"content-encoding", b"content-length")
        ]
        return cls(
            number=number,
            method=scope["method"],
            path=scope["path"],
            raw_path=raw_path,
            query_string=scope["query_string"],
            headers=headers,
            scheme=scope["scheme"],
            server=scope.get("server"),
            body=body,
        )

    @property
    def scope(self) -> Scope:
        """The ASGI scope."""
        members = {name: getattr(self, name) for name in _SCOPE_MEMBERS}
        return {"type": "http", "server": self.server, **members}


class ForwardedResponse(msgspec.Struct):
    """The response to a forwarded request, and the values for its log line and metrics."""

    number: int
    status: int
    body: bytes
    headers: Headers
    content_type: bytes
    ignored: bytes
    client_key: str
    quarantined: tuple[str, ...]
    counts: Counts
    fault: str
    """Traceback of an error that no `ApiError` describes, else empty."""


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """Read one frame; None at the end of the stream."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def write_frame(writer: asyncio.StreamWriter, message: msgspec.Struct) -> None:
    """Write one frame; raises `ConnectionError` if the reader has closed."""
    content = msgspec.msgpack.encode(message)
    writer.writelines((len(content).to_bytes(_LENGTH_BYTES, "big"), content))
    await writer.drain()
