"""Request bodies: their size, their content coding and the media types that are read as JSON."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from starlette.types import Receive

from innkeeper.errors import TooLarge, UnsupportedMediaType
from innkeeper.web.content_coding import coding_of, decode
from innkeeper.wire.json_text import decode_object

FORM = "application/x-www-form-urlencoded"
Result = TypeVar("Result")


class ClientDisconnected(Exception):
    """The client closed the connection before its body had arrived, or its response was ready."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """Read the whole body and remove its content coding.

    Raises `TooLarge` as soon as it passes `limit` bytes, encoded or decoded (RL-4),
    `UnsupportedCoding`, and `BadRequest` for a damaged coding.
    """
    coding = headers.get(b"content-encoding")
    if coding is None:
        return await _receive_body(receive, headers, limit)
    name = coding_of(coding)
    body = await _receive_body(receive, headers, limit)
    return body if name is None else await decode(body, name, limit)


async def _receive_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """Read the body as it arrives; raises `TooLarge`, `ClientDisconnected`."""
    check_length(headers.get(b"content-length"), limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    body: bytes = message.get("body", b"")
    if len(body) > limit:
        raise TooLarge(limit)
    if not message.get("more_body"):
        return body
    chunks, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise TooLarge(limit)
    return b"".join(chunks)


async def while_connected(receive: Receive, operation: Awaitable[Result]) -> Result:
    """Run an operation of a request whose body has arrived; cancels it, and raises
    `ClientDisconnected`, when the client disconnects."""
    running = asyncio.ensure_future(operation)
    leaving = asyncio.ensure_future(disconnected(receive))
    try:
        await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise ClientDisconnected
        return running.result()
    finally:
        for task in (running, leaving):
            task.cancel()
        await asyncio.wait({running, leaving})


async def disconnected(receive: Receive) -> None:
    """Return when the client of a request whose body has arrived disconnects."""
    # There is one message before that if nothing has read the body, since it has none.
    for _ in range(2):
        if (await receive())["type"] == "http.disconnect":
            return
    await asyncio.Event().wait()


def check_length(declared: bytes | None, limit: int) -> None:
    """Raise `TooLarge` for a Content-Length over `limit`."""
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise TooLarge(limit)


def json_object(body: bytes, content_type: bytes | None) -> dict[str, Any]:
    """Parse the JSON object of a body; raises `BadJson`, `UnsupportedMediaType`.

    Legacy samples send JSON with curl's form type or without a type: a body of those types is
    JSON when it starts with `{` (CT-3).
    """
    if content_type is not None:
        media_type, _, parameters = content_type.decode("latin-1").partition(";")
        media_type = media_type.strip().lower()
        is_json = media_type == "application/json" or (
            media_type.startswith("application/") and media_type.endswith("+json")
        )
        is_legacy = media_type in ("", FORM) and body.lstrip()[:1] == b"{"
        if not (is_json or is_legacy) or not _is_utf8(parameters):
            raise UnsupportedMediaType(media_type)
    return decode_object(body)


def _is_utf8(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower() in ("utf-8", "utf8", "us-ascii")
    return True
