"""The API door: one request from its headers to its answer, the same for every dialect."""

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
from innkeeper.store.work import Work
from innkeeper.web.auth import Caller, Keyring
from innkeeper.web.base_url import base_url
from innkeeper.web.browser_security import security_headers
from innkeeper.web.cors import Cors
from innkeeper.web.large_bodies import LargeBodies, is_large
from innkeeper.web.observability import CORRELATION, REPLAYED, correlation_id, log_request, observe
from innkeeper.web.rate_limit import Throttle
from innkeeper.web.request_body import ClientDisconnected, json_object, read_body
from innkeeper.web.responses import ApiResponse, json_answer
from innkeeper.web.verbs import Act, prepared
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
    """What is known of a request so far; errors are told in its terms."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    path: str
    route: str = "unknown"
    caller: Caller | None = None
    fault: BaseException | None = None
    ignored: bytes = b""
    """Names of what the request holds and the operation ignores."""
    started: float = field(default_factory=time.perf_counter)

    @property
    def method(self) -> str:
        return str(self.scope["method"])


class Api:
    """Authenticates, routes, reads, acts, answers (AU-5: in that order)."""

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
        # Twins of one request wait for each other here rather than with a connection each.
        self._twins = KeyedLocks()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        request = Request(scope, headers, canonical_path(scope))
        correlation = correlation_id(headers.get(CORRELATION))
        try:
            answer = await self._answer(request, receive)
        except ClientDisconnected:
            return
        except ApiError as error:
            answer = self.error_answer(request, error)
            clear_frames(error)
        except Exception as fault:
            request.fault = fault
            answer = self.error_answer(request, ServerFault())
        if request.ignored:
            answer.headers.append((IGNORED, request.ignored))
        answer.headers += [
            (CORRELATION, correlation),
            *self._always,
            *self._cors.headers(headers.get(b"origin")),
        ]
        await answer.send(send)
        self._note(request, answer, correlation)
        if request.fault is not None:
            clear_frames(request.fault)
            request.fault = None

    async def _answer(self, request: Request, receive: Receive) -> ApiResponse:
        headers = request.headers
        if request.method == "OPTIONS" and b"access-control-request-method" in headers:
            # Preflight never carries credentials (AU-5).
            found, _ = self._router.find(request.path)
            requested = headers.get(b"access-control-request-headers")
            return self._cors.preflight(allowed(found), requested)
        request.caller = caller = await self._keyring.identify(headers.get(b"authorization"))
        self._throttle.admit(caller.client_key)
        found, parameters = self._router.find(request.path)
        if not found:
            raise NotFound
        if request.method == "OPTIONS":
            return ApiResponse(204, headers=[(b"allow", ", ".join(allowed(found)).encode())])
        route = found.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            raise MethodNotAllowed(request.method, allowed(found))
        if caller.bearer != (isinstance(route, Endpoint) and route.bearer):
            # Two kinds of credentials that do not stand in for each other (AU-6, AU-7).
            raise Unauthorized
        request.route = route.path
        require(route, caller.scopes)
        raw = b""
        if route.takes_body:
            raw = await read_body(receive, headers, self._settings.max_body_bytes)
        if not is_large(raw):
            return await self._perform(self._database, request, caller, route, parameters, raw)
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
        """Read the body of an authorized request, and act."""
        headers = request.headers
        asked = EndpointRequest(
            parameters,
            parse_query(request.scope["query_string"]),
            json_object(raw, headers.get(b"content-type")) if route.takes_body else None,
            base_url(request.scope, headers, self._settings.public_url),
            caller.compatibility,
            caller.scopes,
            expected_in(headers.get(b"if-match")),
        )
        request.ignored = check_names(route, asked)
        if isinstance(route, Endpoint) and route.before is not None:
            await route.before(asked)
        act = prepared(route, asked)
        return await self._act(database, request, caller, act, raw, route.takes_key)

    async def _act(
        self,
        database: Database,
        request: Request,
        caller: Caller,
        act: Act,
        raw: bytes,
        takes_key: bool,
    ) -> ApiResponse:
        key = request.headers.get(b"idempotency-key") if takes_key else None

        async def once() -> ApiResponse:
            async with database.work(caller.workspace, caller.actor) as work:
                if key is None:
                    return await act(work)
                return await self._idempotent(work, request, caller, act, key, raw)

        if key is None:
            return await retrying(once)
        async with self._twins.held((caller.client_key, request.path, key)):
            return await retrying(once)

    async def _idempotent(
        self, work: Work, request: Request, caller: Caller, act: Act, key: bytes, raw: bytes
    ) -> ApiResponse:
        """Act once for a key: a twin waits, then gets the first answer."""
        word = key.decode("latin-1")
        if not (1 <= len(word) <= 255 and word.isascii() and word.isprintable()):
            raise BadRequest("Idempotency-Key must be 1 to 255 printable ASCII characters.")
        hours = self._settings.idempotency_hours
        scope = idempotency.scope_of(caller.client_key, request.path, word)
        query = request.scope["query_string"].decode("latin-1")
        request_hash = digest("request", query, raw.decode("latin-1"))
        async with work.transaction():
            kept = await idempotency.first_answer(work, scope, request_hash, hours)
            if kept is not None:
                REPLAYED.inc()
                return replayed(kept)
            answer = await act(work)
            location = dict(answer.headers).get(b"location", b"").decode() or None
            await idempotency.keep(
                work,
                scope,
                request_hash,
                hours,
                status=answer.status,
                location=location,
                body=answer.body,
            )
        return answer

    def error_answer(self, request: Request, error: ApiError) -> ApiResponse:
        """The answer that tells of an error, in the dialect of the path (ER-4)."""
        client_key = request.caller.client_key if request.caller else ""
        extra = dialect_at(request.path).extra_error_members
        body = error_body(error, self._settings.more_info_url, client_key, extra)
        headers = [(name.lower().encode(), text.encode()) for name, text in error.headers.items()]
        return json_answer(body, error.status, headers)

    def _note(self, request: Request, answer: ApiResponse, correlation: bytes) -> None:
        seconds = time.perf_counter() - request.started
        observe(request.method, request.route, answer.status, seconds)
        members: dict[str, Any] = {
            "id": correlation.decode(),
            "method": request.method,
            "route": request.route,
            "status": answer.status,
            "ms": round(seconds * 1000, 2),
        }
        if request.caller is not None:
            members["client_key"] = request.caller.client_key
        log_request(members, request.fault)


def canonical_path(scope: Scope) -> str:
    """The path, still percent-encoded; `/2.1/…` and `/2/…` of one client mean `/v2.1/…`."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.decode("latin-1")
    return "/v" + path[1:] if path.startswith(("/2.1/", "/2/")) else path


def allowed(found: Mapping[str, Route]) -> list[str]:
    """The methods of a path, as an Allow header lists them."""
    methods = sorted(found)
    if "GET" in found:
        methods.append("HEAD")
    return [*methods, "OPTIONS"]


def replayed(kept: Record) -> ApiResponse:
    """A kept answer, marked as one."""
    headers = [(b"idempotent-replayed", b"true")]
    if kept["location"]:
        headers.append((b"location", kept["location"].encode()))
    return ApiResponse(kept["status"], bytes(kept["body"]), headers)
