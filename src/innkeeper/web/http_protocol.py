"""HTTP/1.1 by uvicorn, with limits on a request's head and on a client's slowness.

Its own responses have the error body and the security headers of every other response.
"""

import asyncio
import re
from http import HTTPStatus
from time import monotonic
from typing import Final, NoReturn, cast

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from innkeeper.errors import (
    ApiError,
    BadRequest,
    HeadTooLarge,
    RequestTimeout,
    Unavailable,
    UriTooLong,
)
from innkeeper.web.browser_security import STRICT, Headers
from innkeeper.web.connections import CLOSED, Connection, ConnectionLimits, watch_of
from innkeeper.web.request_head import collapse_slashes, is_screen_path
from innkeeper.web.single_write import SingleWrite
from innkeeper.wire.error_body import error_body
from innkeeper.wire.json_text import encode
from innkeeper.wire.request_target import MAX_PATH_BYTES, check_path, check_query
from innkeeper.wire.stream.routes import is_stream

# Request line and headers, in bytes; far more than any client sends.
MAX_HEAD_BYTES: Final = 65_536
# Tag pages send messages without encoding (stream-api.md 2): bytes that no request line may hold.
_UNENCODED: Final = re.compile(rb"[ #\x80-\xff]")
_REQUEST_LINE: Final = re.compile(rb"(GET) (/.*) (HTTP/1\.[01]\r?)", re.DOTALL)
# Bytes of the colon and space between a header's name and value, and of its line end.
_SEPARATORS: Final = 4


def encode_target(data: bytes, end: int) -> bytes:
    """Percent-encode the target of a request to the stream API; `data` is the start of a request
    whose line ends at `end`.

    Other paths stay as they are: the parser rejects them.
    """
    line = data[:end] if end >= 0 else b""
    if line.count(b" ") <= 2 and line.isascii() and b"#" not in line:
        return data
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        return data
    path = collapse_slashes(match[2].partition(b"?")[0])
    if not is_stream(path.decode("latin-1")):
        return data
    target = match[2]
    # One step for each different byte, not for each byte.
    for byte in set(_UNENCODED.findall(target)):
        target = target.replace(byte, b"%%%02X" % ord(byte))
    return b"%s %s %s" % (match[1], target, match[3]) + data[end:]


_HEAD_TOO_LARGE: Final = f"The request's line and headers are over {MAX_HEAD_BYTES} bytes."


def check_target(url: bytes) -> bytes:
    """Return the target to pass on; raises `UriTooLong` for a path or query over the limits.

    The stream API checks its own query, which may contain a message. The screens refuse a long path
    with a page, so they get the start of the path, long enough to be refused.
    """
    path, _, query = url.partition(b"?")
    try:
        check_path(path)
        check_query(query)
    except UriTooLong:
        text = collapse_slashes(path[:MAX_PATH_BYTES]).decode("latin-1")
        if len(path) > MAX_PATH_BYTES and is_screen_path(text):
            return path[: MAX_PATH_BYTES + 1]
        if len(path) > MAX_PATH_BYTES or not (is_screen_path(text) or is_stream(text)):
            raise
    return url


class LimitedHttpProtocol(HttpToolsProtocol):
    """Responds 431 to a head over the limit, 414 to a path or query over theirs, 400 to bytes that
    are not HTTP, 408 when a request does not arrive in time and 503 over the limit of connections;
    then it closes the connection."""

    # Settings; the server sets them before it listens.
    more_info_url: str = "https://support.sitecore.com"
    limits = ConnectionLimits()
    security_headers: Headers = STRICT

    _in_head = False
    _is_between_requests = True
    _fault: ApiError = BadRequest("The request is not valid HTTP.")
    """The response when the parser stops."""
    _requests_begun = 0
    _fed_bytes = 0
    _head_bytes = 0
    _partial_line: bytearray | None = None
    """The start of a request line that has not ended yet."""

    _waiting_since = 0.0
    """Monotonic time since which the current head or body has been awaited."""
    _body_bytes = 0
    _paused_at = 0.0
    _unread_bytes = 0
    _closing_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._waiting_since = monotonic()
        connections = cast(set[Connection], self.connections)
        watch = watch_of(self.server_state, self.loop, connections)
        if not watch.admit(self, self.limits.most):
            CLOSED.labels("limit").inc()
            self._reject(Unavailable("Too many connections: try again."))

    def data_received(self, data: bytes) -> None:
        if self._is_between_requests:
            searched = 0
            if self._partial_line is not None:
                searched = len(self._partial_line)
                self._partial_line += data
            end = (data if self._partial_line is None else self._partial_line).find(b"\n", searched)
            if end < 0 and searched + len(data) <= MAX_HEAD_BYTES:
                # Whether the line must be encoded is known at its end.
                if self._partial_line is None:
                    self._partial_line = bytearray(data)
                    self._begin_wait()
                self._unset_keepalive_if_required()
                return
            if self._partial_line is not None:
                data, self._partial_line = bytes(self._partial_line), None
            data = encode_target(data, end)
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        # The parser does not report an unfinished header, so the bytes that go in are counted too:
        # exactly, unless `data` also holds the end of another request.
        is_head = self._in_head or self._is_between_requests
        self._requests_begun = 0
        super().data_received(data)
        if not self._in_head or self._closing():
            return
        if is_head and self._requests_begun <= 1:
            self._fed_bytes += len(data)
        if self._fed_bytes > MAX_HEAD_BYTES:
            self._fault = HeadTooLarge(_HEAD_TOO_LARGE)
            self.send_400_response("")

    def _begin_wait(self) -> None:
        # The wait for the first head began with the connection.
        if self.cycle is not None:
            self._waiting_since = monotonic()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._is_between_requests = False
        self._requests_begun += 1
        self._fed_bytes = self._head_bytes = 0
        self._begin_wait()
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._is_between_requests = True
        super().on_message_complete()

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + _SEPARATORS
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._waiting_since = monotonic()
        self._body_bytes = 0
        try:
            self.url = check_target(self.url)
        except UriTooLong as error:
            self._fault = error
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
            # It closes when the client has read the response.
            self._closing_since = self._closing_since or now
            if now - self._closing_since > self.limits.response:
                self.drop("response")
        elif self.flow.write_paused and now - self._paused_at > self._time(
            self.limits.response, self._unread_bytes
        ):
            self.drop("response")
        elif self.flow.read_paused or (self.cycle and self.cycle.waiting_for_100_continue):
            # The client waits for the server.
            self._waiting_since += elapsed
        elif self._awaits_head() and now - self._waiting_since > self.limits.head:
            self._end_wait("head", "The request's line and headers did not arrive in time.")
        elif (
            not self._is_between_requests
            and not self._in_head
            and now - self._waiting_since > self._body_time()
        ):
            self._end_wait("body", "The request's body did not arrive in time.")

    def waiting_since(self) -> float | None:
        """Monotonic time since which it waits for a request; None while a request is running."""
        if self.timeout_keep_alive_task is not None or self._awaits_head():
            return self._waiting_since
        return None

    def drop(self, reason: str) -> None:
        """Close at once, also when the client has not read the whole response."""
        CLOSED.labels(reason).inc()
        self.transport.abort()

    def _awaits_head(self) -> bool:
        return (
            self._in_head
            or self._partial_line is not None
            or (self.cycle is None and self._is_between_requests)
        )

    def _body_time(self) -> float:
        if self.cycle.response_complete:
            # The application does not read the rest of the body.
            return self.timeout_keep_alive
        return self._time(self.limits.body, self._body_bytes)

    def _time(self, seconds: float, size: int) -> float:
        return seconds + size / self.limits.bytes_per_second

    def _end_wait(self, reason: str, message: str) -> None:
        """Respond 408 when part of a request has arrived, close, and signal the disconnect to the
        application."""
        CLOSED.labels(reason).inc()
        cycle = None if self._awaits_head() else self.cycle
        is_empty = self.cycle is None and self._partial_line is None and not self._in_head
        if is_empty or (cycle is not None and cycle.response_started):
            self.transport.close()
        else:
            self._reject(RequestTimeout(message))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()

    def send_400_response(self, msg: str) -> None:
        """Respond to a request that uvicorn cannot parse, in the one error body (ER-4)."""
        if not self._closing():
            self._reject(self._fault)

    def _reject(self, error: ApiError) -> None:
        """Write an error response and close the connection."""
        body = encode(error_body(error, self.more_info_url, "", {}))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            (b"cache-control", b"no-store"),
            *self.security_headers,
        ]
        phrase = HTTPStatus(error.status).phrase.encode("ascii")
        lines = [b"HTTP/1.1 %d %s" % (error.status, phrase)]
        lines += [b"%s: %s" % header for header in headers]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()

    def _refuse_head(self) -> NoReturn:
        self._fault = HeadTooLarge(_HEAD_TOO_LARGE)
        raise self._fault

    def _closing(self) -> bool:
        return self.transport is None or self.transport.is_closing()
