"""Correlation id, metric and log line for each request outside the API and the stream API."""

import time
from collections.abc import Iterable
from typing import Any, Final

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from innkeeper.web.observability import CORRELATION, correlation_id, log_request, observe

QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Probes, which machines request every few seconds: neither counted nor logged."""
_MEMBERS: Final = "innkeeper.request_log"


def members_of(request: Request) -> dict[str, Any]:
    """Return the members of the log line of a request, which the caller may change."""
    members: dict[str, Any] = request.scope.setdefault(_MEMBERS, {})
    return members


class RequestLog:
    """Middleware: counts and logs requests as the API does its own."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._paths: dict[Any, str] = {}
        for each in routes:
            if isinstance(each, Route):
                # An endpoint of several paths is counted under the first of them.
                self._paths.setdefault(each.endpoint, each.path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in QUIET:
            await self._app(scope, receive, send)
            return
        correlation = correlation_id(dict(scope["headers"]).get(CORRELATION))
        scope[_MEMBERS] = members = {"id": correlation.decode(), "method": scope["method"]}
        started, status, complete = time.perf_counter(), 0, False

        async def send_and_note(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (CORRELATION, correlation)]
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body")
            await send(message)

        fault: Exception | None = None
        try:
            await self._app(scope, receive, send_and_note)
        except Exception as raised:
            # Starlette raises again after its response 500; the log line below has the traceback.
            fault = raised
            if not complete:
                raise
        finally:
            seconds = time.perf_counter() - started
            route = self._paths.get(scope.get("endpoint"), "unknown")
            observe(scope["method"], route, status, seconds)
            members |= {"route": route, "status": status, "ms": round(seconds * 1000, 2)}
            log_request(members, fault)
