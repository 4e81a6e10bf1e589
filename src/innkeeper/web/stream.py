"""The stream API: from a page's request to its response (stream-api.md 1 to 4).

The client key is public and the only credential; pages send requests from any origin.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from starlette.types import Scope

from innkeeper import clock
from innkeeper.actions.events import browsers, ingest
from innkeeper.actions.events.ingest import Ingested
from innkeeper.errors import ApiError, BadRequest, UnknownBrowser
from innkeeper.resources.values import ref_in
from innkeeper.rules import scopes
from innkeeper.rules.stream import IncomingEvent
from innkeeper.settings import Settings
from innkeeper.store.batching import ALONE, Alone
from innkeeper.store.database import Database, retrying
from innkeeper.store.work import Work
from innkeeper.web.auth import Keyring
from innkeeper.web.base_url import base_url
from innkeeper.web.large_requests import LargeRequests
from innkeeper.web.request_counters import EVENTS, QUARANTINED
from innkeeper.web.request_shell import RequestShell, ShellRequest, error_as_json, raw_path
from innkeeper.web.responses import ApiResponse, json_response
from innkeeper.wire.scopes import refuse_lacking
from innkeeper.wire.stream import messages as stream
from innkeeper.wire.stream.routes import StreamRoute, is_event_path, routes_at
from innkeeper.wire.unknown import ignored_by_stream

MAX_USER_AGENT: Final = 1000


@dataclass(slots=True)
class StreamRequest(ShellRequest):
    """A request of the stream API."""

    query: dict[str, str] = field(default_factory=dict)
    client_key: str = ""
    """The key that the request names, whether it is valid or not."""

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


class Stream(RequestShell[StreamRequest, StreamRoute]):
    """The ASGI application of the stream API."""

    def __init__(
        self, settings: Settings, database: Database, keyring: Keyring, large: LargeRequests | None
    ) -> None:
        super().__init__(settings, database, keyring, large)

    def open_request(self, scope: Scope, headers: Mapping[bytes, bytes]) -> StreamRequest:
        return StreamRequest(scope, headers, raw_path(scope))

    def find_routes(self, path: str) -> tuple[Mapping[str, StreamRoute], Mapping[str, str]]:
        return routes_at(path)

    async def identify(self, request: StreamRequest) -> None:
        """Parse the query; credentials may be in the body."""
        is_get = request.method in ("GET", "HEAD")
        has_message = is_get and request.route is not None and request.route.takes_message
        raw = request.scope["query_string"]
        request.query, message = stream.parse_query(raw, takes_message=has_message)
        request.body = message or b""

    def authorize(self, request: StreamRequest, route: StreamRoute) -> None:
        if request.query:
            request.ignored = ignored_by_stream(route, request.query)
        if not route.takes_body:
            stream.callback_of(request.query)

    async def perform(self, request: StreamRequest, route: StreamRoute) -> ApiResponse:
        return _as_jsonp(request, await ACTS[route.act](self, request))

    async def set_caller(self, call: StreamRequest, message_key: object) -> None:
        """Set the workspace of a request; `message_key` is the client key in its message, if any.

        Raises `Unauthorized` for a key that is missing, unknown or revoked.
        """
        edge: bool = call.route.edge
        context = call.query.get("sitecoreContextId") or call.header(b"x-sitecore-contextid")
        key = (
            message_key
            if isinstance(message_key, str) and message_key
            else call.query.get("client_key", "")
        )
        call.client_key = (context or key) if edge else key
        caller = await self.keyring.workspace_of(call.client_key)
        call.caller, call.client_key = caller, caller.client_key
        refuse_lacking({scopes.Scope.WRITE} - caller.scopes)

    async def message(self, call: StreamRequest, key: str) -> dict[str, Any]:
        """Parse the message of a request and authorize it; `key` names the member that may hold
        the client key.

        Raises `Unauthorized`, and `BadRequest` when the message is not a JSON object.
        """
        try:
            message = stream.message(call.body)
        except BadRequest:
            if call.query.get("client_key") or call.route.edge:
                await self.set_caller(call, None)
            raise
        await self.set_caller(call, message.get(key))
        return message

    async def work(self, call: StreamRequest, act: Callable[[Work], Awaitable[Any]]) -> Any:
        """Run `act` in the caller's workspace, again after a conflict between transactions."""

        async def run_once() -> Any:
            async with self.database.work(call.caller.workspace, call.client_key) as work:
                return await act(work)

        return await retrying(run_once)

    async def record(self, call: StreamRequest, event: IncomingEvent) -> Ingested:
        """Record an event, those of a browser in order of arrival; plain events that wait at the
        same time are written together."""

        async def run_alone() -> Ingested:
            recorded: Ingested = await self.work(call, lambda work: ingest.record(work, event))
            return recorded

        workspace, browser = call.caller.workspace, str(event.message.get("browser_id"))
        queue = self.database.batches.get("events", workspace, self._record_batch, workspace)
        is_slow = ingest.is_slow(event)
        ingested: Ingested = await queue.run(event, run_alone, browser, is_slow=is_slow)
        return ingested

    async def _record_batch(
        self, workspace: str, events: Sequence[IncomingEvent]
    ) -> Sequence[Ingested | Alone]:
        async with self.database.work(workspace) as work:
            return [one or ALONE for one in await ingest.record_batch(work, events)]

    def base(self, call: StreamRequest) -> str:
        """Return the start of absolute URLs."""
        return base_url(call.scope, call.headers, self.settings.public_url)

    def error_response(self, call: StreamRequest, error: ApiError) -> ApiResponse:
        flow = call.route.flow if call.route else not is_event_path(call.path)
        body_of = stream.flow_error if flow else stream.event_error
        body = body_of(error, call.client_key, self.settings.more_info_url)
        # No login is possible here, so a browser must not ask for one.
        return _as_jsonp(call, error_as_json(body, error, without="WWW-Authenticate"))


async def create_browser(app: Stream, call: StreamRequest) -> ApiResponse:
    """201 with a new browser id and its new guest."""
    await app.set_caller(call, None)
    browser, guest = await app.work(call, browsers.create)
    return json_response(stream.created(call.client_key, browser, guest), 201)


async def show_browser(app: Stream, call: StreamRequest) -> ApiResponse:
    """200 with the guest that the browser belongs to now."""
    # The SDK sends the client key as api_token too.
    await app.set_caller(
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
    site = call.query.get("siteId", "") if call.route.edge else None
    incoming = IncomingEvent(
        message, received_at, site, call.header(b"user-agent")[:MAX_USER_AGENT]
    )
    ingested = await app.record(call, incoming)
    EVENTS.inc()
    for reason in ingested.quarantined:
        QUARANTINED.labels(reason).inc()
    call.quarantined = ingested.quarantined
    return json_response(stream.represent_event(call.client_key, ingested.ref, ingested.guest), 201)


async def call_flows(app: Stream, call: StreamRequest) -> ApiResponse:
    """200 with the empty decision."""
    message = await app.message(call, "clientKey")
    friendly = message.get("friendlyId")
    if not isinstance(friendly, str) or not friendly.strip():
        raise BadRequest("friendlyId: may not be null.")
    return json_response(stream.NO_DECISION)


async def cdn_url(app: Stream, call: StreamRequest) -> ApiResponse:
    """200 with the address of the script of web experiences, as plain text."""
    await app.set_caller(call, None)
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


def _as_jsonp(call: StreamRequest, response: ApiResponse) -> ApiResponse:
    """Wrap a JSON response as JSONP when the query has a `callback`; always 200 (stream-api.md
    4)."""
    name = call.query.get("callback")
    if name is None or call.method != "GET" or not stream.CALLBACK.fullmatch(name):
        return response
    if response.content_type != b"application/json":
        return response
    return ApiResponse(200, stream.jsonp(name, response.body), response.headers, stream.JAVASCRIPT)
