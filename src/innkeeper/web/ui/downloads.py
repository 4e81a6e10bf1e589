"""Download a whole value of which a page shows only the beginning."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.paging import Page, PageRequest
from innkeeper.actions.records.extensions import Extensions
from innkeeper.resources.base import Record
from innkeeper.resources.values import plain
from innkeeper.store.limiter import Limiter
from innkeeper.store.work import Lend, Work
from innkeeper.web.downloads import Body, Download
from innkeeper.web.ui.rendering import HEADERS
from innkeeper.wire.json_text import encode

READ_AT_ONCE: Final = 10
"""Records that a streamed file reads at a time: each may be as large as a body may be."""
_BLOCK_BYTES: Final = 64 * 1024


async def json_file(name: str, value: Any) -> Response:
    """Return a value as a JSON file; a thread encodes it, since it may be large."""
    return file(f"{name}.json", await asyncio.to_thread(lambda: encode(plain(value))))


def file(name: str, content: bytes | str, media_type: str = "application/json") -> Response:
    """Return a file to save; `name` must be plain ASCII without quotes."""
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers, media_type=f"{media_type}; charset=utf-8")


@dataclass(frozen=True, slots=True)
class StreamedObject:
    """A JSON object that is read while it is sent, so that it is never whole in memory."""

    members: Callable[[], Record]
    """Function that returns the first members, as the visitor may see them; runs in a thread."""
    lists: Mapping[str, Callable[[], AsyncIterator["StreamedObject"]]] = field(default_factory=dict)
    """The other members, each with the function that reads its elements."""


def streamed_json_file(name: str, slots: Limiter, whole: StreamedObject) -> Response:
    """Return an object as a JSON file. Its lists are read without the request's connection: each
    read takes one of its own, and releases it before the response sends the result."""

    async def open_body() -> Body:
        return _blocks(whole)

    return Download(slots, open_body, "application/json; charset=utf-8", f"{name}.json")


async def read_pages(
    lend: Lend, list_: Callable[[Work, PageRequest], Awaitable[Page]]
) -> AsyncIterator[Record]:
    """Yield the records of a list, read `READ_AT_ONCE` at a time."""
    offset, total = 0, 1
    while offset < total:
        async with lend() as work:
            page = await list_(work, PageRequest(offset, READ_AT_ONCE))
        for record in page.items:
            yield record
        offset, total = offset + READ_AT_ONCE, page.total


async def read_extensions(lend: Lend, kind: Extensions, parent: UUID) -> AsyncIterator[Record]:
    """Yield the data extensions of a parent, read one by one."""
    async with lend() as work:
        refs = await kind.refs_of(work, parent)
    for ref in refs:
        async with lend() as work:
            extension = await kind.by_ref(work, parent, ref)
        if extension is not None:
            yield extension


async def _blocks(whole: StreamedObject) -> Body:
    """Yield the text of an object in blocks."""
    block = bytearray()
    async for piece in _pieces(whole):
        block += piece
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


async def _pieces(whole: StreamedObject) -> AsyncIterator[bytes]:
    text = await asyncio.to_thread(lambda: encode(plain(whole.members())))
    comma = b"" if text == b"{}" else b","
    yield text[:-1]
    for name, read in whole.lists.items():
        yield comma + encode(name) + b":["
        comma, between = b",", b""
        async for element in read():
            yield between
            async for piece in _pieces(element):
                yield piece
            between = b","
        yield b"]"
    yield b"}"
