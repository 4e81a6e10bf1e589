"""The process for large requests: `python -m innkeeper.web.large_worker PARENT`.

It reads requests as frames from its standard input, which `web/large_requests.py` writes, and
writes responses to its standard output. It ends with its input.
"""

import asyncio
import os
import signal
import sys
import traceback
from dataclasses import replace

import msgspec
from starlette.types import Message

from innkeeper.settings import Settings
from innkeeper.store.memory import collect_seldom
from innkeeper.store.processes import follow_parent, ignore_stop_signals
from innkeeper.web.apis import Apis
from innkeeper.web.forwarded import ForwardedRequest, ForwardedResponse, read_frame, write_frame
from innkeeper.web.large_requests import MAX_RUNNING
from innkeeper.web.observability import configure_logs
from innkeeper.web.request_counters import new_counts


def main() -> None:
    """Answer requests until the input ends."""
    follow = follow_parent(signal.SIGKILL, int(sys.argv[1]))
    if follow is not None:
        follow()
    # The parent closes the input once its requests have ended.
    ignore_stop_signals()
    os.nice(5)
    output = os.dup(sys.stdout.fileno())
    # What anything prints must not come between frames.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # The parent counted the request against its key's limit.
    settings = replace(Settings.from_environment(), rate_limit=0.0, pool_size=MAX_RUNNING)
    configure_logs(settings.log_level, settings.log_format)
    collect_seldom()
    asyncio.run(answer_all(settings, output))


async def answer_all(settings: Settings, output: int) -> None:
    """Answer every request of the standard input; their responses go to the descriptor `output`."""
    reader, writer = await _open_pipes(output)
    writing = asyncio.Lock()
    apis = Apis(settings, large=None)
    async with apis.open(), asyncio.TaskGroup() as running:

        async def answer_one(request: ForwardedRequest) -> None:
            response = await _answer(apis, request)
            async with writing:
                await write_frame(writer, response)

        while (frame := await read_frame(reader)) is not None:
            running.create_task(answer_one(msgspec.msgpack.decode(frame, type=ForwardedRequest)))
    writer.close()


async def _answer(apis: Apis, forwarded: ForwardedRequest) -> ForwardedResponse:
    async def receive() -> Message:
        return {"type": "http.request", "body": forwarded.body, "more_body": False}

    request, response = await apis.at(forwarded.path).answer(forwarded.scope, receive)
    fault = "".join(traceback.format_exception(request.fault)) if request.fault else ""
    return ForwardedResponse(
        number=forwarded.number,
        status=response.status,
        body=response.body,
        headers=response.headers,
        content_type=response.content_type,
        ignored=request.ignored,
        client_key=request.caller.client_key,
        quarantined=tuple(request.quarantined),
        counts=new_counts(),
        fault=fault,
    )


async def _open_pipes(output: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(output, "wb")
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


if __name__ == "__main__":
    main()
