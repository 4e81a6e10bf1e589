"""Write the head and the body of a response in one call: a head alone wakes the client, which must
then wait again."""

from collections.abc import Awaitable, Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

# The bytes that a header may contain; line ends separate headers.
_IN_HEADERS: Final = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_LINE_END: Final = b"\r\n"
# These change how uvicorn frames the body: it writes such a response itself.
_CONNECTION: Final = b"\r\nconnection: "
_TRANSFER_ENCODING: Final = b"\r\ntransfer-encoding: "


class SingleWrite:
    """Application wrapper for one request that writes head and body together.

    It delays the head until the body arrives, as ASGI allows. uvicorn writes all other responses:
    those to HEAD, and those with a body in parts or without a length in the head.
    """

    __slots__ = ("_app", "_cycle", "_start")

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._cycle = cycle
        self._start: Message | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self._app(scope, receive, self._send)

    async def _send(self, message: Message) -> None:
        start = self._start
        if start is None and message["type"] == "http.response.start":
            self._start = message
            return
        cycle = self._cycle
        if start is not None and not cycle.response_started:
            if cycle.scope["method"] != "HEAD" and not message.get("more_body", False):
                body: bytes = message.get("body", b"")
                head = header_lines(start["headers"])
                if b"\r\ncontent-length: %d\r\n" % len(body) in head and not _sets_framing(head):
                    await _write(cycle, start["status"], head, body)
                    return
            await cycle.send(start)  # type: ignore[arg-type]
        await cycle.send(message)  # type: ignore[arg-type]


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Encode headers between line ends; raises RuntimeError for a control character."""
    lines = [b"%b: %b" % pair for pair in headers]
    block = b"\r\n%b\r\n" % _LINE_END.join(lines)
    if block.translate(None, _IN_HEADERS) != _LINE_END * (len(lines) + 1):
        raise RuntimeError("a header contains a control character")
    return block


def _sets_framing(head: bytes) -> bool:
    return _CONNECTION in head or _TRANSFER_ENCODING in head


async def _write(cycle: RequestResponseCycle, status: int, head: bytes, body: bytes) -> None:
    """Do what uvicorn's `send` does with a start and a body, in one write."""
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    own = [b"%b: %b\r\n" % pair for pair in cycle.default_headers]
    if not cycle.keep_alive:
        own.append(b"connection: close\r\n")
    status_line = STATUS_LINE[status]
    cycle.transport.write(b"".join((status_line, *own, head[2:], _LINE_END, body)))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
