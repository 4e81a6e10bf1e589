"""The steps of every request of the REST API and of the stream API, in one order.

Route, credentials, body, operation, response, log line. An API supplies what differs: `Api` in
`web/api.py`, `Stream` in `web/stream.py`. Other requests go through `web/page_shell.py`.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, Protocol, TypeVar

from starlette.types import Receive, Scope, Send

from innkeeper.errors import ApiError, MethodNotAllowed, NotFound, ServerFault
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.memory import clear_frames
from innkeeper.store.result_size import LargeResult
from innkeeper.web.auth import NOBODY, Caller, Keyring
from innkeeper.web.browser_security import security_headers
from innkeeper.web.cors import Cors
from innkeeper.web.large_requests import LargeRequests, is_large
from innkeeper.web.observability import CORRELATION, correlation_id, record_request
from innkeeper.web.request_body import ClientDisconnected, read_body
from innkeeper.web.request_counters import count_on
from innkeeper.web.responses import ApiResponse, json_response
from innkeeper.wire.unknown import IGNORED

NO_STORE: Final = (b"cache-control", b"no-store")


class ForwardedFault(Exception):
    """An error in the process for large requests; its text is the traceback from there."""


class ShellRoute(Protocol):
    """A route as the shell sees it."""

    @property
    def path(self) -> str: ...

    @property
    def takes_body(self) -> bool: ...


@dataclass(slots=True)
class ShellRequest:
    """The state of one request, which its error response and log line read."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    path: str
    """Still percent-encoded."""
    body: bytes = b""
    receive: Receive = field(init=False)
    """Receives the rest of the request; after its body only that the client disconnects."""
    parameters: Mapping[str, str] = field(init=False)
    """Of the path."""
    route: Any = None
    """The route, or another one of the same path; None for an unknown path."""
    caller: Caller = NOBODY
    fault: BaseException | None = None
    ignored: bytes = b""
    """Value of Innkeeper-Ignored: parameters and members that the operation ignores."""
    quarantined: tuple[str, ...] = ()
    """Reasons for which an event or a part of it went to quarantine, for the log line."""
    started: float = field(default_factory=time.perf_counter)
    method: str = field(init=False)

    def __post_init__(self) -> None:
        self.method = self.scope["method"]


SomeRequest = TypeVar("SomeRequest", bound=ShellRequest)
SomeRoute = TypeVar("SomeRoute", bound=ShellRoute)


class RequestShell(Generic[SomeRequest, SomeRoute]):
    """The ASGI application of an API."""

    def __init__(
        self, settings: Settings, database: Database, keyring: Keyring, large: LargeRequests | None
    ) -> None:
        self.settings = settings
        self.database = database
        self.keyring = keyring
        self.large = large
        """Forwards large requests; None in the process that they are forwarded to."""
        self._cors = Cors(settings.cors_origins)
        self._always = [NO_STORE, *security_headers(settings)]

    # What an API supplies

    def open_request(self, scope: Scope, headers: Mapping[bytes, bytes]) -> SomeRequest:
        """Return the state of a new request."""
        raise NotImplementedError

    def find_routes(self, path: str) -> tuple[Mapping[str, SomeRoute], Mapping[str, str]]:
        """Return the routes of a path by method, and the parameters in it."""
        raise NotImplementedError

    async def identify(self, request: SomeRequest) -> None:
        """Check the credentials of the head, before the path is looked up (AU-5)."""

    def authorize(self, request: SomeRequest, route: SomeRoute) -> None:
        """Check whether the caller may use a route, before the body is read."""

    async def perform(self, request: SomeRequest, route: SomeRoute) -> ApiResponse:
        """Run the operation of a request whose body has arrived."""
        raise NotImplementedError

    def error_response(self, request: SomeRequest, error: ApiError) -> ApiResponse:
        """Encode an error in the dialect of the path (ER-4)."""
        raise NotImplementedError

    # What they share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request, response = await self.answer(scope, receive)
        except ClientDisconnected:
            return
        headers = request.headers
        correlation = correlation_id(headers.get(CORRELATION))
        if request.ignored:
            response.headers.append((IGNORED, request.ignored))
        response.headers += [
            (CORRELATION, correlation),
            *self._always,
            *self._cors.headers(headers.get(b"origin")),
        ]
        await response.send(receive, send)
        # uvloop writes at the end of its iteration: the client shall not wait for the log line.
        asyncio.get_running_loop().call_soon(self._log, request, response, correlation)

    async def answer(self, scope: Scope, receive: Receive) -> tuple[SomeRequest, ApiResponse]:
        """Answer a request, without the headers of every response; raises `ClientDisconnected`."""
        request = self.open_request(scope, dict(scope["headers"]))
        request.receive = receive
        try:
            response = await self._respond(request, receive)
        except ClientDisconnected:
            raise
        except ApiError as error:
            response = self.error_response(request, error)
            clear_frames(error)
        except Exception as fault:
            request.fault = fault
            response = self.error_response(request, ServerFault())
        return request, response

    async def _respond(self, request: SomeRequest, receive: Receive) -> ApiResponse:
        """Check and perform a request; raises an `ApiError` for every error response."""
        method, headers = request.method, request.headers
        by_method, request.parameters = self.find_routes(request.path)
        route = by_method.get("GET" if method == "HEAD" else method)
        request.route = route or next(iter(by_method.values()), None)
        if method == "OPTIONS" and b"access-control-request-method" in headers:
            # Preflight never carries credentials (AU-5).
            requested = headers.get(b"access-control-request-headers")
            return self._cors.preflight(allowed_methods(by_method), requested)
        await self.identify(request)
        if not by_method:
            raise NotFound
        if method == "OPTIONS":
            allow = ", ".join(allowed_methods(by_method))
            return ApiResponse(204, headers=[(b"allow", allow.encode())])
        if route is None:
            raise MethodNotAllowed(method, allowed_methods(by_method))
        self.authorize(request, route)
        if route.takes_body:
            request.body = await read_body(receive, headers, self.settings.max_body_bytes)
        if self.large is None:
            return await self.perform(request, route)
        if not is_large(request.body):
            try:
                return await self.perform(request, route)
            except LargeResult:
                # Only reads are limited, so nothing was written.
                pass
        return await self._forward(request, self.large)

    async def _forward(self, request: SomeRequest, large: LargeRequests) -> ApiResponse:
        """Forward a request whose caller may use the route to another process."""
        forwarded = await large.forward(request.scope, request.body)
        request.ignored, request.quarantined = forwarded.ignored, forwarded.quarantined
        if request.caller is NOBODY and forwarded.client_key:
            request.caller = replace(NOBODY, client_key=forwarded.client_key)
        if forwarded.fault:
            request.fault = ForwardedFault(forwarded.fault)
        count_on(forwarded.counts)
        return ApiResponse(
            forwarded.status, forwarded.body, forwarded.headers, forwarded.content_type
        )

    def _log(self, request: SomeRequest, response: ApiResponse, correlation: bytes) -> None:
        members: dict[str, Any] = {"id": correlation.decode()}
        if request.caller is not NOBODY:
            members["client_key"] = request.caller.client_key
        if request.quarantined:
            members["quarantined"] = list(request.quarantined)
        path = request.route.path if request.route is not None else "unknown"
        status, started = response.status, request.started
        record_request(request.method, path, status, started, members, request.fault)
        if request.fault is not None:
            clear_frames(request.fault)
            request.fault = None


def raw_path(scope: Scope) -> str:
    """Return the path, still percent-encoded."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


def allowed_methods(by_method: Mapping[str, object]) -> list[str]:
    """List the methods of a path for an Allow header."""
    methods = sorted(by_method)
    if "GET" in by_method:
        methods.append("HEAD")
    return [*methods, "OPTIONS"]


def error_as_json(body: Any, error: ApiError, *, without: str = "") -> ApiResponse:
    """Return the response of an error with its headers, except `without`."""
    headers = [
        (name.lower().encode(), text.encode())
        for name, text in error.headers.items()
        if name != without
    ]
    return json_response(body, error.status, headers)
