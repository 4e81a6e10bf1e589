"""The door of the stream API: from a page's request to its answer (stream-api.md 1 to 4).

The client key is public and the only credential; pages call from any origin.
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
from innkeeper.rules import scopes
from innkeeper.rules.stream import IncomingEvent
from innkeeper.settings import Settings
from innkeeper.store.database import Database, retrying
from innkeeper.store.driver_errors import Contended
from innkeeper.store.memory import clear_frames
from innkeeper.store.work import Work
from innkeeper.web.auth import Keyring
from innkeeper.web.base_url import base_url
from innkeeper.web.browser_security import security_headers
from innkeeper.web.cors import Cors
from innkeeper.web.large_bodies import LargeBodies, is_large
from innkeeper.web.observability import CORRELATION, correlation_id, log_request, observe
from innkeeper.web.request_body import ClientDisconnected, read_body
from innkeeper.web.responses import ApiResponse, json_answer
from innkeeper.web.turns import Turns
from innkeeper.wire.endpoint import ref_in
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
    """One request, as far as it is known; errors are told in its terms."""

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
    """Reads, finds the workspace of the client key, acts, answers."""

    def __init__(
        self, settings: Settings, database: Database, keyring: Keyring, large: LargeBodies
    ) -> None:
        self._settings = settings
        self._database = database
        self._keyring = keyring
        self._large = large
        self._of_large: Stream | None = None
        self._cors = Cors(settings.cors_origins)
        self._always = [NO_STORE, *security_headers(settings)]
        # Events of one browser are written one after the other in any case; here they wait
        # without keeping a connection from others.
        self.turns = Turns(self._record, self._record_together)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        path = path_of(scope)
        found, parameters = routes_at(path)
        route = found.get("GET" if scope["method"] == "HEAD" else scope["method"])
        takes_message = route is not None and route.takes_message
        call = StreamRequest(scope, headers, path, {}, None, parameters)
        correlation = correlation_id(headers.get(CORRELATION))
        try:
            call.query, call.message = stream.parse_query(
                scope["query_string"], takes_message=takes_message
            )
            answer = await self._answer(call, receive, found)
        except ClientDisconnected:
            return
        except ApiError as error:
            answer = self._error(call, error)
            clear_frames(error)
        except Exception as fault:
            call.fault = fault
            answer = self._error(call, ServerFault())
        answer = _for_script(call, answer)
        if call.query and route is not None and (ignored := ignored_by_stream(route, call.query)):
            answer.headers.append((IGNORED, ignored))
        answer.headers += [
            (CORRELATION, correlation),
            *self._always,
            *self._cors.headers(headers.get(b"origin")),
        ]
        await answer.send(send)
        _note(call, answer, correlation)
        if call.fault is not None:
            clear_frames(call.fault)
            call.fault = None

    async def _answer(
        self, call: StreamRequest, receive: Receive, found: Mapping[str, StreamRoute]
    ) -> ApiResponse:
        if not found:
            raise NotFound
        if call.method == "OPTIONS":
            methods = allowed(found)
            if b"access-control-request-method" in call.headers:
                requested = call.headers.get(b"access-control-request-headers")
                return self._cors.preflight(methods, requested)
            return ApiResponse(204, headers=[(b"allow", ", ".join(methods).encode())])
        # Known by now how an error looks, whatever the method.
        call.route = next(iter(found.values()))
        route = found.get("GET" if call.method == "HEAD" else call.method)
        if route is None:
            raise MethodNotAllowed(call.method, allowed(found))
        call.route = route
        if route.method == "GET":
            stream.callback_of(call.query)
        else:
            call.message = await read_body(receive, call.headers, self._settings.max_body_bytes)
        act = ACTS[route.act]
        if call.message is None or not is_large(call.message):
            return await act(self, call)
        return await self._large.run(lambda database: act(self._beside(database), call))

    def _beside(self, database: Database) -> "Stream":
        """The same for large messages, with that database alone."""
        if self._of_large is None or self._of_large._database is not database:
            self._of_large = Stream(self._settings, database, Keyring(database), self._large)
        return self._of_large

    async def authorize(self, call: StreamRequest, sent: object) -> None:
        """Find the workspace of a request; `sent` is the client key of its message, if any.

        Raises `Unauthorized` for a key that is missing, unknown or revoked.
        """
        edge = call.route is not None and call.route.edge
        context = call.query.get("sitecoreContextId") or call.header(b"x-sitecore-contextid")
        key = sent if isinstance(sent, str) and sent else call.query.get("client_key", "")
        call.client_key = (context or key) if edge else key
        opened = await self._keyring.workspace_of(call.client_key, aliases=edge)
        call.client_key, call.workspace = opened.client_key, opened.workspace
        refuse_lacking({scopes.Scope.WRITE} - opened.scopes)

    async def message(self, call: StreamRequest, key: str) -> dict[str, Any]:
        """The message of an authorized request, which may hold its client key as `key`.

        Raises `Unauthorized`, and `BadRequest` for what is no JSON object.
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
        """Run `act` in the caller's workspace, again when it lost against another."""

        async def once() -> Any:
            async with self._database.work(call.workspace, call.client_key) as lent:
                return await act(lent)

        return await retrying(once)

    async def _record(self, event: tuple[StreamRequest, IncomingEvent]) -> Ingested:
        call, sent = event
        taken: Ingested = await self.work(call, lambda work: ingest.record(work, sent))
        return taken

    async def _record_together(
        self, events: Sequence[tuple[StreamRequest, IncomingEvent]]
    ) -> Sequence[Ingested | None]:
        first, _ = events[0]
        try:
            async with self._database.work(first.workspace, first.client_key) as lent:
                return await ingest.record_together(lent, [sent for _, sent in events])
        except ApiError as error:
            # Whether it was written is not known when the database went away.
            if isinstance(error, Unavailable) and not isinstance(error, Contended):
                raise
            return [None] * len(events)

    def base(self, call: StreamRequest) -> str:
        """What absolute URLs start with."""
        return base_url(call.scope, call.headers, self._settings.public_url)

    def _error(self, call: StreamRequest, error: ApiError) -> ApiResponse:
        flow = call.route.flow if call.route else not is_event_path(call.path)
        body_of = stream.flow_error if flow else stream.event_error
        body = body_of(error, call.client_key, self._settings.more_info_url)
        # No login helps here, so no browser is to ask for one.
        headers = [
            (name.lower().encode(), text.encode())
            for name, text in error.headers.items()
            if name != "WWW-Authenticate"
        ]
        return json_answer(body, error.status, headers)


async def create_browser(door: Stream, call: StreamRequest) -> ApiResponse:
    """201 with a new browser id and the guest made for it."""
    await door.authorize(call, None)
    browser, guest = await door.work(call, browsers.create)
    return json_answer(stream.created(call.client_key, browser, guest), 201)


async def show_browser(door: Stream, call: StreamRequest) -> ApiResponse:
    """200 with the guest whose browser it is now."""
    # The SDK sends the client key as api_token too.
    await door.authorize(
        call, call.query.get("api_token") if not call.query.get("client_key") else None
    )
    browser = ref_in(unquote(call.parameters["browser"]))
    if browser is None:
        raise UnknownBrowser
    guest = await door.work(call, lambda work: browsers.guest_of(work, browser))
    return json_answer(stream.represent_browser(call.client_key, browser, guest))


async def get_event(door: Stream, call: StreamRequest) -> ApiResponse:
    """201 for an event in the query."""
    return await _event(door, call)


async def post_event(door: Stream, call: StreamRequest) -> ApiResponse:
    """201 for an event in the body."""
    return await _event(door, call)


async def _event(door: Stream, call: StreamRequest) -> ApiResponse:
    received_at = clock.now()
    message = await door.message(call, "client_key")
    stream.check_storable(message)
    edge = call.route is not None and call.route.edge
    site = call.query.get("siteId", "") if edge else None
    sent = IncomingEvent(message, received_at, site, call.header(b"user-agent")[:MAX_USER_AGENT])
    browser = str(message.get("browser_id"))
    taken = await door.turns.take((call.workspace, browser), (call, sent))
    EVENTS.inc()
    for reason in taken.quarantined:
        QUARANTINED.labels(reason).inc()
    call.quarantined = taken.quarantined
    return json_answer(stream.taken(call.client_key, taken.ref, taken.guest), 201)


async def call_flows(door: Stream, call: StreamRequest) -> ApiResponse:
    """200 with the empty decision."""
    message = await door.message(call, "clientKey")
    friendly = message.get("friendlyId")
    if not isinstance(friendly, str) or not friendly.strip():
        raise BadRequest("friendlyId: may not be null.")
    return json_answer(stream.NO_DECISION)


async def cdn_url(door: Stream, call: StreamRequest) -> ApiResponse:
    """200 with the address of the script of web experiences, as plain text."""
    await door.authorize(call, None)
    url = f"{door.base(call)}/web-flow-libs/{call.client_key}/web-version.min.js"
    return ApiResponse(200, url.encode(), content_type=b"text/plain; charset=utf-8")


async def web_flow_script(door: Stream, call: StreamRequest) -> ApiResponse:
    """200 with a script that does nothing, whatever the key: a page must not break over it."""
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
    """The path, still percent-encoded."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


def allowed(found: Mapping[str, StreamRoute]) -> list[str]:
    """The methods of a path, as an Allow header lists them."""
    return sorted({*found, *({"HEAD"} if "GET" in found else ()), "OPTIONS"})


def _for_script(call: StreamRequest, answer: ApiResponse) -> ApiResponse:
    """The answer as JSONP where the request asks for it; always 200 (section 4)."""
    name = call.query.get("callback")
    if name is None or call.method != "GET" or not stream.CALLBACK.fullmatch(name):
        return answer
    if answer.content_type != b"application/json":
        return answer
    return ApiResponse(200, stream.jsonp(name, answer.body), answer.headers, stream.JAVASCRIPT)


def _note(call: StreamRequest, answer: ApiResponse, correlation: bytes) -> None:
    seconds = perf_counter() - call.started
    route = call.route.path if call.route else "unknown"
    observe(call.method, route, answer.status, seconds)
    members: dict[str, Any] = {
        "id": correlation.decode(),
        "method": call.method,
        "route": route,
        "status": answer.status,
        "ms": round(seconds * 1000, 2),
    }
    if call.workspace:
        members["client_key"] = call.client_key
    if call.quarantined:
        members["quarantined"] = list(call.quarantined)
    log_request(members, call.fault)
