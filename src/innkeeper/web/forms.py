"""Forms of the screens and of OAuth, read within limits of bytes, fields and files (F1, S4)."""

from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import parse_qsl

import anyio.to_thread
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from innkeeper.errors import BadRequest, TooLarge, UnsupportedMediaType
from innkeeper.web.content_coding import coding_of
from innkeeper.web.request_body import FORM, ClientDisconnected, check_length, read_body

MULTIPART: Final = "multipart/form-data"
MAX_FIELDS: Final = 50_000
"""Two for each column of a wide file. A form of 1 MB has more only when most are empty."""
_MAX_FIELDS_BESIDE_A_FILE: Final = 20
_MAX_FIELD_BYTES: Final = 64 * 1024
_MAX_CONTENT_TYPE: Final = 300
_ON_LOOP: Final = 8 * 1024
"""Largest form in bytes that is parsed on the event loop."""


async def read_form(request: Request, limit: int, *, upload: bool = False) -> FormData:
    """Read the fields of a request's form; with `upload` it may contain one file.

    Raises `TooLarge` past `limit` bytes, `UnsupportedMediaType`, `UnsupportedCoding` and
    `BadRequest`. `close` of the result deletes the file.
    """
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if upload and media_type == MULTIPART and len(content_type) <= _MAX_CONTENT_TYPE:
        return await _multipart(request, limit)
    try:
        body = await read_body(request.receive, dict(request.scope["headers"]), limit)
    except ClientDisconnected:
        raise BadRequest("The form was cut off.") from None
    if not body:
        return FormData()
    if media_type != FORM:
        raise UnsupportedMediaType(media_type, FORM)
    if len(body) <= _ON_LOOP:
        return _fields(body)
    return await anyio.to_thread.run_sync(_fields, body)


def _fields(body: bytes) -> FormData:
    try:
        fields = parse_qsl(
            body.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise BadRequest(f"The form has more than {MAX_FIELDS} fields.") from None
    return FormData([*fields])


async def _multipart(request: Request, limit: int) -> FormData:
    headers = dict(request.scope["headers"])
    check_length(headers.get(b"content-length"), limit)
    if coding_of(headers.get(b"content-encoding", b"")) is not None:
        raise BadRequest("Send the form without a content coding.")

    async def pieces() -> AsyncGenerator[bytes, None]:
        size = 0
        more = True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("The form was cut off.")
            piece: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(piece)
            if size > limit:
                raise TooLarge(limit)
            yield piece

    parser = MultiPartParser(
        request.headers,
        pieces(),
        max_files=1,
        max_fields=_MAX_FIELDS_BESIDE_A_FILE,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise BadRequest(error.message) from error
