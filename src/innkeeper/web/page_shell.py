"""The steps of every request outside the APIs: screens, files, health checks, OAuth.

`web/request_shell.py` does the same for the APIs.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from innkeeper.errors import UriTooLong
from innkeeper.settings import Settings
from innkeeper.web.browser_security import is_https, security_headers
from innkeeper.web.observability import CORRELATION, correlation_id, record_request
from innkeeper.wire.request_target import check_path, check_query

QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Probes, which machines request every few seconds: neither counted nor logged."""
_MEMBERS: Final = "innkeeper.request_log"

RespondError = Callable[[Request, Exception], Awaitable[Response]]


def members_of(request: Request) -> dict[str, Any]:
    """Return the members of the log line of a request, which the caller may change."""
    members: dict[str, Any] = request.scope.setdefault(_MEMBERS, {})
    return members


class PageShell:
    """Middleware: limits the target of a request, adds the headers that the response has not set
    itself, and counts and logs it.

    Where `public_url` is https, the scheme of every request is https, so that cookies are `Secure`.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Iterable[BaseRoute],
        settings: Settings,
        respond_error: RespondError,
    ) -> None:
        self._app = app
        self._respond_error = respond_error
        self._https = is_https(settings)
        self._headers = security_headers(settings)
        self._paths: dict[Any, str] = {}
        for each in routes:
            if isinstance(each, Route):
                # An endpoint of several paths is counted under the first of them.
                self._paths.setdefault(each.endpoint, each.path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._https:
            scope = {**scope, "scheme": "https"}
        correlation = correlation_id(dict(scope["headers"]).get(CORRELATION))
        scope[_MEMBERS] = members = {"id": correlation.decode()}
        started, status, complete = time.perf_counter(), 0, False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                added = [each for each in self._headers if each[0] not in present]
                message["headers"] = [*message["headers"], (CORRELATION, correlation), *added]
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body")
            await send(message)

        is_quiet, fault = scope["path"] in QUIET, None
        try:
            await self._run(scope, receive, send_with_headers)
        except Exception as raised:
            # Starlette raises again after its response 500; the log line below has the traceback.
            fault = raised
            if is_quiet or not complete:
                raise
        finally:
            if not is_quiet:
                route = self._paths.get(scope.get("endpoint"), "unknown")
                record_request(scope["method"], route, status, started, members, fault)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, unless the path or the query is over its limit."""
        try:
            check_path(scope.get("raw_path") or b"")
            check_query(scope["query_string"])
        except UriTooLong as error:
            response = await self._respond_error(Request(scope), error)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)
