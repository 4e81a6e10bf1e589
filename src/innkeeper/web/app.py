"""The ASGI application: opens the database and notifications, and dispatches requests by path."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from innkeeper.errors import ApiError, BadRequest, MethodNotAllowed, NotFound, ServerFault
from innkeeper.settings import Settings
from innkeeper.store.files import Files
from innkeeper.store.memory import clear_frames
from innkeeper.web import health
from innkeeper.web.apis import Apis
from innkeeper.web.exports import TOKEN_PATHS, ExportApp
from innkeeper.web.large_requests import LargeRequests
from innkeeper.web.observability import configure_logs
from innkeeper.web.page_shell import PageShell
from innkeeper.web.request_head import normalize_scope, remove_cookies
from innkeeper.web.ui import routes as screens
from innkeeper.web.ui.problems import error_page, is_screen
from innkeeper.web.uploads import Uploads
from innkeeper.wire.error_body import error_body
from innkeeper.wire.json_text import encode
from innkeeper.wire.stream.routes import is_stream

API_PREFIXES = ("/v2.1/", "/v2/", "/2.1/", "/2/", "/v4/", "/innkeeper/")


class App:
    """Dispatches a request to the API, the stream API or the other routes, which also run the
    lifespan."""

    def __init__(self, apis: Apis, rest: ASGIApp) -> None:
        self.apis = apis
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        scope = normalize_scope(scope)
        path = scope["path"]
        if is_stream(path):
            await self.apis.stream(scope, receive, send)
        elif path.startswith(API_PREFIXES) and path not in TOKEN_PATHS:
            await self.apis.rest(scope, receive, send)
        else:
            scope["headers"] = remove_cookies(scope["headers"])
            await self._rest(scope, receive, send)


def create_app(settings: Settings | None = None) -> ASGIApp:
    """Create the ASGI application; `settings` default to those that `innkeeper serve` resolved."""
    resolved = settings or Settings.from_environment()
    configure_logs(resolved.log_level, resolved.log_format)
    apis = Apis(resolved, LargeRequests(resolved))
    database = apis.database

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with apis.open():
            yield

    async def respond_error(request: Request, fault: Exception) -> Response:
        response = _error_response(request, fault, resolved.more_info_url)
        if isinstance(fault, ApiError):
            clear_frames(fault)
        return response

    routes = [
        *health.routes(database, resolved),
        *Uploads(database, resolved, Files.of(resolved)).routes(),
        *ExportApp(database, Files.of(resolved)).routes(),
        *screens.routes(database, resolved),
    ]
    handled = (HTTPException, ApiError, ClientDisconnect, Exception)
    rest = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers=dict.fromkeys(handled, respond_error)
    )
    rest.router.redirect_slashes = False
    return App(apis, PageShell(rest, routes, resolved, respond_error))


def _error_response(request: Request, fault: Exception, more_info_url: str) -> Response:
    """Encode an error as a page on the paths of screens, else as JSON."""
    error = fault if isinstance(fault, ApiError) else _error_of(request, fault)
    if is_screen(request):
        return error_page(request, error)
    body = error_body(error, more_info_url, "", {})
    return Response(encode(body), error.status, error.headers, "application/json")


def _error_of(request: Request, fault: Exception) -> ApiError:
    """Translate an exception into an `ApiError`, so that every route has one error body (ER-4)."""
    if isinstance(fault, ClientDisconnect):
        return BadRequest("The request was cut off.")
    if not isinstance(fault, HTTPException):
        return ServerFault()
    if fault.status_code == 404:
        return NotFound()
    if fault.status_code == 405:
        return MethodNotAllowed(request.method, (fault.headers or {}).get("Allow", "").split(", "))
    return BadRequest(fault.detail)
