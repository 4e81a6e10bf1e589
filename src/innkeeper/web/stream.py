"""The stream API: from a page's request to its response (stream-api.md 1 to 4).

The client key is public and the only credential; pages send requests from any origin.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final
from urllib.parse import unquote

from prometheus_client import Counter
from starlette.types import Receive, Scope, Send

from innkeeper import clock
from innkeeper.actions.events import browsers, ingest
from innkeeper.actions.events.ingest import Ingested
from innkeeper.errors import (
    ApiError,
    BadRequest,
    MethodNotAllowed,
    NotFound,
    ServerFault,
    Unavailable,
    UnknownBrowser,
)
from innkeeper.resources.values import ref_in
from innkeeper.rules import scopes
from innkeeper.rules.stream import IncomingEvent
from innkeeper.settings import Settings
from innkeeper.store.database import Database, retrying
from innkeeper.store.driver_errors import Contended
from innkeeper.store.memory import clear_frames
from innkeeper.store.work import Work
from innkeeper.web.auth import Keyring
from innkeeper.web.base_url import base_url
from innkeeper.web.batching import KeyedBatches
from innkeeper.web.browser_security import security_headers
from innkeeper.web.cors import Cors
from innkeeper.web.large_bodies import LargeBodies, is_large
from innkeeper.web.observability import CORRELATION, correlation_id, log_request, observe
from innkeeper.web.request_body import ClientDisconnected, read_body
from innkeeper.web.responses import ApiResponse, json_response
from innkeeper.wire.scopes import refuse_lacking
from innkeeper.wire.stream import messages as stream
from innkeeper.wire.stream.routes import StreamRoute, is_event_path, routes_at
from innkeeper.wire.unknown import IGNORED, ignored_by_stream

NO_STORE: Final = (b"cache-control", b"no-store")
EVENTS: Final = Counter("innkeeper_events_total", "Events that were acknowledged.")
QUARANTINED: Final = Counter(
    "innkeeper_events_quarantined_total",
    "Events, or parts of events, that went to quarantine.",
    ["reason"],
)
MAX_USER_AGENT: Final = 1000


@dataclass(slots=True)
class StreamRequest:
    """The state of one request, which its error response and log line read."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    path: str
    query: dict[str, str]
    message: bytes | None
    parameters: dict[str, str] = field(default_factory=dict)
    route: StreamRoute | None = None
    client_key: str = ""
    workspace: str = ""
    fault: BaseException | None = None
    quarantined: tuple[str, ...] = ()
    started: float = field(default_factory=perf_counter)

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


class Stream:
    """The ASGI application of the stream API: read, authorize by client key, act, respond."""

    def __init__(
        self, settings: Settings, database: Database, keyring: Keyring, large: LargeBodies
    ) -> None:
        self._settings = settings
        self._database = database
        self._keyring = keyring
        self._large = large
        self._large_stream: Stream | None = None
        self._cors = Cors(settings.cors_origins)
        self._always = [NO_STORE, *security_headers(settings)]
        # The database writes the events of one browser one after the other in any case; here
        # they wait without a connection.
        self.batches = KeyedBatches(self._record, self._record_batch)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        path = path_of(scope)
        by_method, parameters = routes_at(path)
        route = by_method.get("GET" if scope["method"] == "HEAD" else scope["method"])
        takes_message = route is not None and route.takes_message
        call = StreamRequest(scope, headers, path, {}, None, parameters)
        correlation = correlation_id(headers.get(CORRELATION))
        try:
            call.query, call.message = stream.parse_query(
                scope["query_string"], takes_message=takes_message
            )
            response = await self._respond(call, receive, by_method)
        except ClientDisconnected:
            return
        except ApiError as error:
            response = self._error(call, error)
            clear_frames(error)
        except Exception as fault:
            call.fault = fault
            response = self._error(call, ServerFault())
        response = _as_jsonp(call, response)
        if call.query and route is not None and (ignored := ignored_by_stream(route, call.query)):
            response.headers.append((IGNORED, ignored))
        response.headers += [
            (CORRELATION, correlation),
            *self._always,
            *self._cors.headers(headers.get(b"origin")),
        ]
        await response.send(send)
        _log(call, response, correlation)
        if call.fault is not None:
            clear_frames(call.fault)
            call.fault = None

    async def _respond(
        self, call: StreamRequest, receive: Receive, by_method: Mapping[str, StreamRoute]
    ) -> ApiResponse:
        if not by_method:
            raise NotFound
        if call.method == "OPTIONS":
            methods = allowed_methods(by_method)
            if b"access-control-request-method" in call.headers:
                requested = call.headers.get(b"access-control-request-headers")
                return self._cors.preflight(methods, requested)
            return ApiResponse(204, headers=[(b"allow", ", ".join(methods).encode())])
        # Every route of a path has one shape of errors, also for a method that it lacks.
        call.route = next(iter(by_method.values()))
        route = by_method.get("GET" if call.method == "HEAD" else call.method)
        if route is None:
            raise MethodNotAllowed(call.method, allowed_methods(by_method))
        call.route = route
        if route.method == "GET":
            stream.callback_of(call.query)
        else:
            call.message = await read_body(receive, call.headers, self._settings.max_body_bytes)
        act = ACTS[route.act]
        if call.message is None or not is_large(call.message):
            return await act(self, call)
        return await self._large.run(lambda database: act(self._for_large(database), call))

    def _for_large(self, database: Database) -> "Stream":
        """Return the application for large messages, which uses `database` alone."""
        if self._large_stream is None or self._large_stream._database is not database:
            self._large_stream = Stream(self._settings, database, Keyring(database), self._large)
        return self._large_stream

    async def authorize(self, call: StreamRequest, message_key: object) -> None:
        """Set the workspace of a request; `message_key` is the client key in its message, if any.

        Raises `Unauthorized` for a key that is missing, unknown or revoked.
        """
        edge = call.route is not None and call.route.edge
        context = call.query.get("sitecoreContextId") or call.header(b"x-sitecore-contextid")
        key = (
            message_key
            if isinstance(message_key, str) and message_key
            else call.query.get("client_key", "")
        )
        call.client_key = (context or key) if edge else key
        caller = await self._keyring.workspace_of(call.client_key, aliases=edge)
        call.client_key, call.workspace = caller.client_key, caller.workspace
        refuse_lacking({scopes.Scope.WRITE} - caller.scopes)

    async def message(self, call: StreamRequest, key: str) -> dict[str, Any]:
        """Parse the message of a request and authorize it; `key` names the member that may hold
        the client key.

        Raises `Unauthorized`, and `BadRequest` when the message is not a JSON object.
        """
        try:
            message = stream.message(call.message)
        except BadRequest:
            if call.query.get("client_key") or (call.route and call.route.edge):
                await self.authorize(call, None)
            raise
        await self.authorize(call, message.get(key))
        return message

    async def work(self, call: StreamRequest, act: Callable[[Work], Awaitable[Any]]) -> Any:
        """Run `act` in the caller's workspace, again after a conflict between transactions."""

        async def run_once() -> Any:
            async with self._database.work(call.workspace, call.client_key) as work:
                return await act(work)

        return await retrying(run_once)

    async def _record(self, event: tuple[StreamRequest, IncomingEvent]) -> Ingested:
        call, incoming = event
        ingested: Ingested = await self.work(call, lambda work: ingest.record(work, incoming))
        return ingested

    async def _record_batch(
        self, events: Sequence[tuple[StreamRequest, IncomingEvent]]
    ) -> Sequence[Ingested | None]:
        first, _ = events[0]
        try:
            async with self._database.work(first.workspace, first.client_key) as work:
                return await ingest.record_batch(work, [incoming for _, incoming in events])
        except ApiError as error:
            # Without the database the events may be stored already: do not record them again.
            if isinstance(error, Unavailable) and not isinstance(error, Contended):
                raise
            return [None] * len(events)

    def base(self, call: StreamRequest) -> str:
        """Return the start of absolute URLs."""
        return base_url(call.scope, call.headers, self._settings.public_url)

    def _error(self, call: StreamRequest, error: ApiError) -> ApiResponse:
        flow = call.route.flow if call.route else not is_event_path(call.path)
        body_of = stream.flow_error if flow else stream.event_error
        body = body_of(error, call.client_key, self._settings.more_info_url)
        # No login is possible here, so a browser must not ask for one.
        headers = [
            (name.lower().encode(), text.encode())
            for name, text in error.headers.items()
            if name != "WWW-Authenticate"
        ]
        return json_response(body, error.status, headers)


async def create_browser(app: Stream, call: StreamRequest) -> ApiResponse:
    """201 with a new browser id and its new guest."""
    await app.authorize(call, None)
    browser, guest = await app.work(call, browsers.create)
    return json_response(stream.created(call.client_key, browser, guest), 201)


async def show_browser(app: Stream, call: StreamRequest) -> ApiResponse:
    """200 with the guest that the browser belongs to now."""
    # The SDK sends the client key as api_token too.
    await app.authorize(
        call, call.query.get("api_token") if not call.query.get("client_key") else None
    )
    browser = ref_in(unquote(call.parameters["browser"]))
    if browser is None:
        raise UnknownBrowser
    guest = await app.work(call, lambda work: browsers.guest_of(work, browser))
    return json_response(stream.represent_browser(call.client_key, browser, guest))


async def get_event(app: Stream, call: StreamRequest) -> ApiResponse:
    """201 for an event in the query."""
    return await _event(app, call)


async def post_event(app: Stream, call: StreamRequest) -> ApiResponse:
    """201 for an event in the body."""
    return await _event(app, call)


async def _event(app: Stream, call: StreamRequest) -> ApiResponse:
    """Record an event and count it; 201 with the refs of the event and its guest."""
    received_at = clock.now()
    message = await app.message(call, "client_key")
    stream.check_storable(message)
    edge = call.route is not None and call.route.edge
    site = call.query.get("siteId", "") if edge else None
    incoming = IncomingEvent(
        message, received_at, site, call.header(b"user-agent")[:MAX_USER_AGENT]
    )
    browser = str(message.get("browser_id"))
    ingested = await app.batches.run((call.workspace, browser), (call, incoming))
    EVENTS.inc()
    for reason in ingested.quarantined:
        QUARANTINED.labels(reason).inc()
    call.quarantined = ingested.quarantined
    return json_response(stream.taken(call.client_key, ingested.ref, ingested.guest), 201)


async def call_flows(app: Stream, call: StreamRequest) -> ApiResponse:
    """200 with the empty decision."""
    message = await app.message(call, "clientKey")
    friendly = message.get("friendlyId")
    if not isinstance(friendly, str) or not friendly.strip():
        raise BadRequest("friendlyId: may not be null.")
    return json_response(stream.NO_DECISION)


async def cdn_url(app: Stream, call: StreamRequest) -> ApiResponse:
    """200 with the address of the script of web experiences, as plain text."""
    await app.authorize(call, None)
    url = f"{app.base(call)}/web-flow-libs/{call.client_key}/web-version.min.js"
    return ApiResponse(200, url.encode(), content_type=b"text/plain; charset=utf-8")


async def web_flow_script(app: Stream, call: StreamRequest) -> ApiResponse:
    """200 with a script that does nothing, for any key, so that no page breaks."""
    return ApiResponse(200, stream.WEB_FLOWS, content_type=stream.JAVASCRIPT)


ACTS: Final[dict[str, Callable[[Stream, StreamRequest], Awaitable[ApiResponse]]]] = {
    "create_browser": create_browser,
    "show_browser": show_browser,
    "get_event": get_event,
    "post_event": post_event,
    "call_flows": call_flows,
    "call_flows_by_get": call_flows,
    "cdn_url": cdn_url,
    "web_flow_script": web_flow_script,
}


def path_of(scope: Scope) -> str:
    """Return the path, still percent-encoded."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


def allowed_methods(by_method: Mapping[str, StreamRoute]) -> list[str]:
    """List the methods of a path for an Allow header."""
    return sorted({*by_method, *({"HEAD"} if "GET" in by_method else ()), "OPTIONS"})


def _as_jsonp(call: StreamRequest, response: ApiResponse) -> ApiResponse:
    """Wrap a JSON response as JSONP when the query has a `callback`; always 200 (stream-api.md
    4)."""
    name = call.query.get("callback")
    if name is None or call.method != "GET" or not stream.CALLBACK.fullmatch(name):
        return response
    if response.content_type != b"application/json":
        return response
    return ApiResponse(200, stream.jsonp(name, response.body), response.headers, stream.JAVASCRIPT)


def _log(call: StreamRequest, response: ApiResponse, correlation: bytes) -> None:
    """Count the request and write its log line."""
    seconds = perf_counter() - call.started
    route = call.route.path if call.route else "unknown"
    observe(call.method, route, response.status, seconds)
    members: dict[str, Any] = {
        "id": correlation.decode(),
        "method": call.method,
        "route": route,
        "status": response.status,
        "ms": round(seconds * 1000, 2),
    }
    if call.workspace:
        members["client_key"] = call.client_key
    if call.quarantined:
        members["quarantined"] = list(call.quarantined)
    log_request(members, call.fault)
