"""HTTP/1.1 as uvicorn speaks it, with limits on a request's head and on a client's slowness.

Its own answers have the error body and the security headers of every other answer.
"""

import asyncio
import re
from http import HTTPStatus
from time import monotonic
from typing import Final, cast

import msgspec
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from innkeeper.errors import UriTooLong
from innkeeper.web.browser_security import STRICT, Headers
from innkeeper.web.connections import CLOSED, Connection, ConnectionLimits, watch_of
from innkeeper.web.request_head import is_screen_path, single_slashes
from innkeeper.web.single_write import SingleWrite
from innkeeper.wire.request_target import MAX_PATH_BYTES, check_path, check_query
from innkeeper.wire.stream.routes import is_stream

# Request line and headers, in bytes; far above what any client sends.
MAX_HEAD_BYTES: Final = 65_536
# Tag pages send messages as they are (stream-api.md 2): what no request line may hold.
_UNENCODED: Final = re.compile(rb"[ #\x80-\xff]")
_REQUEST_LINE: Final = re.compile(rb"(GET) (/.*) (HTTP/1\.[01]\r?)", re.DOTALL)
# What is between a header's name and value, and after it.
_SEPARATORS: Final = 4


def encoded_line(data: bytes, end: int) -> bytes:
    """The bytes of a request whose line ends at `end`, its target encoded where a stream's is not.

    Any other path is left to the parser, which refuses it.
    """
    line = data[:end] if end >= 0 else b""
    if line.count(b" ") <= 2 and line.isascii() and b"#" not in line:
        return data
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        return data
    path = single_slashes(found[2].partition(b"?")[0])
    if not is_stream(path.decode("latin-1")):
        return data
    target = found[2]
    # As many steps as there are different bytes, not as there are bytes.
    for byte in set(_UNENCODED.findall(target)):
        target = target.replace(byte, b"%%%02X" % ord(byte))
    return b"%s %s %s" % (found[1], target, found[3]) + data[end:]


_HEAD_TOO_LARGE: Final = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"The request's line and headers are over {MAX_HEAD_BYTES} bytes.",
)


class HeadTooLarge(Exception):
    """Stops the parser in the middle of a head that is over the limit."""


def check_target(url: bytes) -> None:
    """Raise `UriTooLong` for a path or query over the limits.

    The query of a stream may hold a message, so the stream checks the rest of it itself; screens
    answer with a page.
    """
    path, _, query = url.partition(b"?")
    try:
        check_path(path)
        check_query(query)
    except UriTooLong:
        named = single_slashes(path[:MAX_PATH_BYTES]).decode("latin-1")
        if is_screen_path(named) or (len(path) <= MAX_PATH_BYTES and is_stream(named)):
            return
        raise


class LimitedHttpProtocol(HttpToolsProtocol):
    """Answers 431 to a head over the limit, 414 to a path or query over theirs, 400 to what is not
    HTTP, 408 to what does not come in time and 503 to a connection too many, and closes."""

    # What the operator chose; the server sets it before it listens.
    more_info_url: str = "https://support.sitecore.com"
    limits = ConnectionLimits()
    security_headers: Headers = STRICT

    _in_head = False
    _between = True
    _fault = (HTTPStatus.BAD_REQUEST, "The request is not valid HTTP.")
    """What is answered when the parser stops."""
    _begun = 0
    _fed_bytes = 0
    _head_bytes = 0
    _held: bytearray | None = None
    """The start of a request line that has not ended yet."""

    _since = 0.0
    """When the wait for the head or the body that is coming began."""
    _body_bytes = 0
    _paused_at = 0.0
    _unread_bytes = 0
    _closing_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._since = monotonic()
        connections = cast(set[Connection], self.connections)
        watch = watch_of(self.server_state, self.loop, connections)
        if not watch.admit(self, self.limits.most):
            CLOSED.labels("limit").inc()
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections: try again.")

    def data_received(self, data: bytes) -> None:
        if self._between:
            searched = 0
            if self._held is not None:
                searched = len(self._held)
                self._held += data
            end = (data if self._held is None else self._held).find(b"\n", searched)
            if end < 0 and searched + len(data) <= MAX_HEAD_BYTES:
                # Whether the line must be encoded shows at its end.
                if self._held is None:
                    self._held = bytearray(data)
                    self._begin_wait()
                self._unset_keepalive_if_required()
                return
            if self._held is not None:
                data, self._held = bytes(self._held), None
            data = encoded_line(data, end)
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        # The parser keeps an unfinished header to itself, so what goes in is counted too:
        # exactly, unless this piece holds the end of another request as well.
        counts = self._in_head or self._between
        self._begun = 0
        super().data_received(data)
        if not self._in_head or self._closing():
            return
        if counts and self._begun <= 1:
            self._fed_bytes += len(data)
        if self._fed_bytes > MAX_HEAD_BYTES:
            self._fault = _HEAD_TOO_LARGE
            self.send_400_response("")

    def _begin_wait(self) -> None:
        # The first head is waited for since the connection was made.
        if self.cycle is not None:
            self._since = monotonic()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._between = False
        self._begun += 1
        self._fed_bytes = self._head_bytes = 0
        self._begin_wait()
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._between = True
        super().on_message_complete()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + _SEPARATORS)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._since = monotonic()
        self._body_bytes = 0
        try:
            check_target(self.url)
        except UriTooLong as error:
            self._fault = HTTPStatus.REQUEST_URI_TOO_LONG, error.message
            raise
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        super()._start_asgi_task(cycle, SingleWrite(app, cycle))  # type: ignore[arg-type]

    def pause_writing(self) -> None:
        self._paused_at = monotonic()
        self._unread_bytes = self.transport.get_write_buffer_size()
        super().pause_writing()

    def check(self, now: float, elapsed: float) -> None:
        """Close the connection when its client is too slow to send or to read."""
        if self.transport.is_closing():
            # Closed once its client has read what was sent.
            self._closing_since = self._closing_since or now
            if now - self._closing_since > self.limits.response:
                self.drop("response")
        elif self.flow.write_paused and now - self._paused_at > self._time(
            self.limits.response, self._unread_bytes
        ):
            self.drop("response")
        elif self.flow.read_paused or (self.cycle and self.cycle.waiting_for_100_continue):
            # It is us that it waits for.
            self._since += elapsed
        elif self._awaits_head() and now - self._since > self.limits.head:
            self._end_wait("head", "The request's line and headers did not arrive in time.")
        elif not self._between and not self._in_head and now - self._since > self._body_time():
            self._end_wait("body", "The request's body did not arrive in time.")

    def waiting_since(self) -> float | None:
        """When it began to wait for a request; None while one is being served."""
        if self.timeout_keep_alive_task is not None or self._awaits_head():
            return self._since
        return None

    def drop(self, reason: str) -> None:
        """Close at once, whatever has not been read."""
        CLOSED.labels(reason).inc()
        self.transport.abort()

    def _awaits_head(self) -> bool:
        return self._in_head or self._held is not None or (self.cycle is None and self._between)

    def _body_time(self) -> float:
        if self.cycle.response_complete:
            # Nobody reads it any more.
            return self.timeout_keep_alive
        return self._time(self.limits.body, self._body_bytes)

    def _time(self, seconds: float, size: int) -> float:
        return seconds + size / self.limits.bytes_per_second

    def _end_wait(self, reason: str, message: str) -> None:
        """Answer 408 where something came, and close; the application learns of it."""
        CLOSED.labels(reason).inc()
        cycle = None if self._awaits_head() else self.cycle
        nothing_came = self.cycle is None and self._held is None and not self._in_head
        if nothing_came or (cycle is not None and cycle.response_started):
            self.transport.close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, message)
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()

    def send_400_response(self, msg: str) -> None:
        """Answer what uvicorn cannot pass on, in the error body of every other answer (ER-4)."""
        if not self._closing():
            self._refuse(*self._fault)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        body = msgspec.json.encode(
            {
                "status": status,
                "code": status,
                "message": message,
                "developerMessage": message,
                "moreInfoUrl": self.more_info_url,
                "statusCode": status,
                "errors": [message],
            }
        )
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            (b"cache-control", b"no-store"),
            *self.security_headers,
        ]
        lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode("ascii"))]
        lines += [b"%s: %s" % header for header in headers]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._fault = _HEAD_TOO_LARGE
            raise HeadTooLarge

    def _closing(self) -> bool:
        return self.transport is None or self.transport.is_closing()
