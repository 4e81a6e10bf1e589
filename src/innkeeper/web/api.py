"""The REST API: one request from its headers to its response, the same for every dialect."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from innkeeper.actions.records import idempotency
from innkeeper.errors import (
    ApiError,
    BadRequest,
    MethodNotAllowed,
    NotFound,
    ServerFault,
    Unauthorized,
)
from innkeeper.resources.base import Record
from innkeeper.rules.identity_keys import digest
from innkeeper.settings import Settings
from innkeeper.store.database import Database, retrying
from innkeeper.store.limiter import KeyedLocks
from innkeeper.store.memory import clear_frames
from innkeeper.store.work import LargeResult, Work
from innkeeper.web.auth import Caller, Keyring
from innkeeper.web.base_url import base_url
from innkeeper.web.browser_security import security_headers
from innkeeper.web.cors import Cors
from innkeeper.web.large_bodies import LARGE_RESULT_BYTES, LargeBodies, is_large
from innkeeper.web.observability import CORRELATION, REPLAYED, correlation_id, log_request, observe
from innkeeper.web.rate_limit import Throttle
from innkeeper.web.request_body import ClientDisconnected, json_object, read_body
from innkeeper.web.responses import ApiResponse, json_response
from innkeeper.web.verbs import Operation, prepare
from innkeeper.wire.endpoint import Endpoint, EndpointRequest
from innkeeper.wire.error_body import error_body
from innkeeper.wire.etags import expected_in
from innkeeper.wire.pagination import parse_query
from innkeeper.wire.registry import DIALECTS, dialect_at
from innkeeper.wire.routes import Route, Router, routes
from innkeeper.wire.scopes import require
from innkeeper.wire.unknown import IGNORED, check_names

NO_STORE: Final = (b"cache-control", b"no-store")


@dataclass(slots=True)
class Request:
    """The state of one API request, which its error response and log line read."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    path: str
    route: str = "unknown"
    caller: Caller | None = None
    fault: BaseException | None = None
    ignored: bytes = b""
    """Value of Innkeeper-Ignored: parameters and members that the operation ignores."""
    started: float = field(default_factory=time.perf_counter)

    @property
    def method(self) -> str:
        return str(self.scope["method"])


class Api:
    """The ASGI application of the API: authenticate, route, read, act, respond, in that order
    (AU-5)."""

    def __init__(
        self, settings: Settings, database: Database, keyring: Keyring, large: LargeBodies
    ) -> None:
        self._settings = settings
        self._database = database
        self._keyring = keyring
        self._large = large
        self._router = Router(routes(DIALECTS))
        self._cors = Cors(settings.cors_origins)
        self._always = [NO_STORE, *security_headers(settings)]
        self._throttle = Throttle(settings.rate_limit)
        # Requests with one idempotency key wait here, before they take a connection.
        self._key_locks = KeyedLocks()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        request = Request(scope, headers, canonical_path(scope))
        correlation = correlation_id(headers.get(CORRELATION))
        try:
            response = await self._respond(request, receive)
        except ClientDisconnected:
            return
        except ApiError as error:
            response = self.error_response(request, error)
            clear_frames(error)
        except Exception as fault:
            request.fault = fault
            response = self.error_response(request, ServerFault())
        if request.ignored:
            response.headers.append((IGNORED, request.ignored))
        response.headers += [
            (CORRELATION, correlation),
            *self._always,
            *self._cors.headers(headers.get(b"origin")),
        ]
        await response.send(send)
        self._log(request, response, correlation)
        if request.fault is not None:
            clear_frames(request.fault)
            request.fault = None

    async def _respond(self, request: Request, receive: Receive) -> ApiResponse:
        """Check and perform a request; raises an `ApiError` for every error response."""
        headers = request.headers
        if request.method == "OPTIONS" and b"access-control-request-method" in headers:
            # Preflight never carries credentials (AU-5).
            by_method, _ = self._router.find(request.path)
            requested = headers.get(b"access-control-request-headers")
            return self._cors.preflight(allowed_methods(by_method), requested)
        request.caller = caller = await self._keyring.identify(headers.get(b"authorization"))
        self._throttle.admit(caller.client_key)
        by_method, parameters = self._router.find(request.path)
        if not by_method:
            raise NotFound
        if request.method == "OPTIONS":
            allow = ", ".join(allowed_methods(by_method))
            return ApiResponse(204, headers=[(b"allow", allow.encode())])
        route = by_method.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            raise MethodNotAllowed(request.method, allowed_methods(by_method))
        if caller.bearer != (isinstance(route, Endpoint) and route.bearer):
            # Neither kind of credentials replaces the other (AU-6, AU-7).
            raise Unauthorized
        request.route = route.path
        require(route, caller.scopes)
        raw = b""
        if route.takes_body:
            raw = await read_body(receive, headers, self._settings.max_body_bytes)
        if not is_large(raw):
            try:
                return await self._perform(self._database, request, caller, route, parameters, raw)
            except LargeResult:
                # Only reads are limited, so nothing was written.
                pass
        return await self._large.run(
            lambda database: self._perform(database, request, caller, route, parameters, raw)
        )

    async def _perform(
        self,
        database: Database,
        request: Request,
        caller: Caller,
        route: Route,
        parameters: Mapping[str, str],
        raw: bytes,
    ) -> ApiResponse:
        """Parse an authorized request and run its operation on `database`; `raw` is its body."""
        headers = request.headers
        endpoint_request = EndpointRequest(
            parameters,
            parse_query(request.scope["query_string"]),
            json_object(raw, headers.get(b"content-type")) if route.takes_body else None,
            base_url(request.scope, headers, self._settings.public_url),
            caller.compatibility,
            caller.scopes,
            expected_in(headers.get(b"if-match")),
        )
        request.ignored = check_names(route, endpoint_request)
        if isinstance(route, Endpoint) and route.before is not None:
            await route.before(endpoint_request)
        operation = prepare(route, endpoint_request)
        return await self._run(database, request, caller, operation, raw, route.takes_key)

    async def _run(
        self,
        database: Database,
        request: Request,
        caller: Caller,
        operation: Operation,
        raw: bytes,
        takes_key: bool,
    ) -> ApiResponse:
        """Run an operation in one unit of work, again after a conflict between transactions."""
        key = request.headers.get(b"idempotency-key") if takes_key else None
        is_limited = database is self._database and request.method in ("GET", "HEAD")

        async def run_once() -> ApiResponse:
            async with database.work(caller.workspace, caller.actor, on_demand=True) as work:
                if is_limited:
                    work.json_bytes_max = LARGE_RESULT_BYTES
                if key is None:
                    return await operation(work)
                return await self._run_idempotent(work, request, caller, operation, key, raw)

        if key is None:
            return await retrying(run_once)
        async with self._key_locks.held((caller.client_key, request.path, key)):
            return await retrying(run_once)

    async def _run_idempotent(
        self,
        work: Work,
        request: Request,
        caller: Caller,
        operation: Operation,
        key: bytes,
        raw: bytes,
    ) -> ApiResponse:
        """Run an operation once for an idempotency key; a repetition gets the first response.

        Raises `BadRequest` for a key that is not 1 to 255 printable ASCII characters.
        """
        key_text = key.decode("latin-1")
        if not (1 <= len(key_text) <= 255 and key_text.isascii() and key_text.isprintable()):
            raise BadRequest("Idempotency-Key must be 1 to 255 printable ASCII characters.")
        hours = self._settings.idempotency_hours
        scope = idempotency.scope_id(caller.client_key, request.path, key_text)
        query = request.scope["query_string"].decode("latin-1")
        request_hash = digest("request", query, raw.decode("latin-1"))
        async with work.transaction():
            stored = await idempotency.fetch_response(work, scope, request_hash, hours)
            if stored is not None:
                REPLAYED.inc()
                return replayed_response(stored)
            response = await operation(work)
            location = dict(response.headers).get(b"location", b"").decode() or None
            await idempotency.store_response(
                work,
                scope,
                request_hash,
                hours,
                status=response.status,
                location=location,
                body=response.body,
            )
        return response

    def error_response(self, request: Request, error: ApiError) -> ApiResponse:
        """Encode an error in the dialect of the path (ER-4)."""
        client_key = request.caller.client_key if request.caller else ""
        extra = dialect_at(request.path).extra_error_members
        body = error_body(error, self._settings.more_info_url, client_key, extra)
        headers = [(name.lower().encode(), text.encode()) for name, text in error.headers.items()]
        return json_response(body, error.status, headers)

    def _log(self, request: Request, response: ApiResponse, correlation: bytes) -> None:
        """Count the request and write its log line."""
        seconds = time.perf_counter() - request.started
        observe(request.method, request.route, response.status, seconds)
        members: dict[str, Any] = {
            "id": correlation.decode(),
            "method": request.method,
            "route": request.route,
            "status": response.status,
            "ms": round(seconds * 1000, 2),
        }
        if request.caller is not None:
            members["client_key"] = request.caller.client_key
        log_request(members, request.fault)


def canonical_path(scope: Scope) -> str:
    """Return the path, still percent-encoded; `/2.1/…` and `/2/…`, which one client sends, become
    `/v2.1/…` and `/v2/…`."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.decode("latin-1")
    return "/v" + path[1:] if path.startswith(("/2.1/", "/2/")) else path


def allowed_methods(by_method: Mapping[str, Route]) -> list[str]:
    """List the methods of a path for an Allow header."""
    methods = sorted(by_method)
    if "GET" in by_method:
        methods.append("HEAD")
    return [*methods, "OPTIONS"]


def replayed_response(stored: Record) -> ApiResponse:
    """Build the response of a repeated request from the stored row of the first."""
    headers = [(b"idempotent-replayed", b"true")]
    if stored["location"]:
        headers.append((b"location", stored["location"].encode()))
    return ApiResponse(stored["status"], bytes(stored["body"]), headers)
