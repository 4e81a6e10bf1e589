"""All of a value that a page shows the beginning of, as a file."""

import asyncio
from typing import Any

from starlette.responses import Response

from innkeeper.web.ui.bounded import plain
from innkeeper.web.ui.rendering import HEADERS
from innkeeper.wire.json_text import encode


async def json_file(name: str, value: Any) -> Response:
    """A value as a JSON file; it may be large, so it is written off the event loop."""
    return file(f"{name}.json", await asyncio.to_thread(lambda: encode(plain(value))))


def file(name: str, content: bytes | str, media_type: str = "application/json") -> Response:
    """A file to save; `name` is ours and plain ASCII."""
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers, media_type=f"{media_type}; charset=utf-8")
