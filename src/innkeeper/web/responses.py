"""Responses of the APIs, and how they are sent over ASGI."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import Receive, Send

from innkeeper.web.request_body import disconnected
from innkeeper.wire.json_text import encode

JSON: Final = b"application/json"
Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class ApiResponse:
    """A response: status, body, and headers except Content-Type and Content-Length."""

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)
    content_type: bytes = JSON
    stream: AsyncGenerator[bytes, None] | None = None
    """Blocks in place of `body`, read while they are sent."""
    open_stream: Callable[[], Awaitable[AsyncGenerator[bytes, None]]] | None = None
    """Opens `stream`, with the unit of work of the operation."""

    async def send(self, receive: Receive, send: Send) -> None:
        headers = self.headers
        if self.status != 204:
            headers = [(b"content-type", self.content_type), *headers]
        if self.status != 204 and self.stream is None:
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if self.stream is not None:
            leaving = asyncio.ensure_future(disconnected(receive))
            try:
                async with aclosing(self.stream) as blocks:
                    async for block in blocks:
                        await send({"type": "http.response.body", "body": block, "more_body": True})
                        if leaving.done():
                            return
            finally:
                leaving.cancel()
        await send({"type": "http.response.body", "body": self.body})


def json_response(value: Any, status: int = 200, headers: Headers | None = None) -> ApiResponse:
    """Encode `value` as a JSON response."""
    return ApiResponse(status, encode(value), headers or [])
