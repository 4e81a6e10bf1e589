"""Downloads: streamed responses that hold a slot, and no connection to the database.

A download takes a slot before anything else; when none is free, the response is 503 with a
Retry-After. The protocol closes the connection of a client that leaves a block unread for
`response_seconds`, so a slow client cannot hold a slot forever.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import IO, Final
from uuid import UUID

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from innkeeper.actions.bulk import signed_urls
from innkeeper.errors import NotFound
from innkeeper.resources.values import ref_in
from innkeeper.store.database import Database
from innkeeper.store.files import Files
from innkeeper.store.limiter import Limiter
from innkeeper.store.queries import WORKSPACE_NAME
from innkeeper.web.request_body import ClientDisconnected, while_connected

BLOCK_BYTES: Final = 256 * 1024

Body = AsyncGenerator[bytes, None]


class Download(Response):
    """A response whose body is opened, read and sent while it holds a slot."""

    def __init__(
        self,
        slots: Limiter,
        open_body: Callable[[], Awaitable[Body]],
        media_type: str,
        filename: str = "",
    ) -> None:
        """`open_body` may raise an `ApiError`: nothing is sent before it returns."""
        super().__init__(media_type=media_type)
        self._filename = filename
        self._slots = slots
        self._open_body = open_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parameter = f'; filename="{self._filename}"' if self._filename else ""
        headers = {"content-disposition": f"attachment{parameter}", "cache-control": "no-store"}
        # The body is closed even when the client does not read all of it.
        async with self._slots:
            try:
                opened = await while_connected(receive, self._open_body())
            except ClientDisconnected:
                return
            async with aclosing(opened) as body:
                response = StreamingResponse(body, media_type=self.media_type, headers=headers)
                await response(scope, receive, send)


async def open_in_slot(slots: Limiter, open_file: Callable[[], Awaitable[IO[bytes]]]) -> Body:
    """Return the blocks of a file that is open, and holds a slot until they end; raises what
    `open_file` does."""

    async def read() -> Body:
        async with slots, aclosing(read_blocks(await open_file())) as blocks:
            yield b""
            async for block in blocks:
                yield block

    body = read()
    await anext(body)
    return body


async def open_stored_file(files: Files, name: str) -> Body:
    """Open a stored file and return its blocks; raises `NotFound` when it is deleted."""
    try:
        stream = await anyio.to_thread.run_sync(files.open, name)
    except FileNotFoundError:
        raise NotFound from None
    return read_blocks(stream)


async def read_blocks(stream: IO[bytes]) -> Body:
    """Yield the blocks of a file, and close it."""
    with stream:
        while block := await anyio.to_thread.run_sync(stream.read, BLOCK_BYTES):
            yield block


async def check_link(
    database: Database, request: Request, method: signed_urls.Method = "GET"
) -> tuple[str, UUID]:
    """Return the workspace and the ref in the path of a signed link.

    Raises `NotFound`, and what `signed_urls.check` raises.
    """
    workspace, ref = request.path_params["workspace"], ref_in(request.path_params["ref"])
    if ref is None or not WORKSPACE_NAME.fullmatch(workspace):
        raise NotFound
    async with database.control() as work:
        await signed_urls.check(work, method, request.url.path, request.query_params)
    return workspace, ref
