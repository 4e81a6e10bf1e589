"""The REST API: one request from its headers to its response, the same for every dialect."""

from collections.abc import Mapping

from starlette.types import Scope

from innkeeper.actions.records import idempotency
from innkeeper.actions.records.idempotency import FirstResponse, KeyedRequest
from innkeeper.errors import ApiError, BadRequest, Unauthorized
from innkeeper.rules.identity_keys import digest
from innkeeper.settings import Settings
from innkeeper.store.database import Database, retrying
from innkeeper.store.limiter import KeyedLocks
from innkeeper.store.work import Work
from innkeeper.web.auth import Keyring
from innkeeper.web.base_url import base_url
from innkeeper.web.large_requests import LARGE_RESULT_BYTES, LargeRequests
from innkeeper.web.rate_limit import Throttle
from innkeeper.web.request_body import json_object, while_connected
from innkeeper.web.request_counters import REPLAYED
from innkeeper.web.request_shell import RequestShell, ShellRequest, error_as_json, raw_path
from innkeeper.web.responses import ApiResponse
from innkeeper.web.verbs import Operation, prepare
from innkeeper.wire.endpoint import Endpoint, EndpointRequest
from innkeeper.wire.error_body import error_body
from innkeeper.wire.etags import expected_in
from innkeeper.wire.pagination import parse_query
from innkeeper.wire.registry import DIALECTS, dialect_at
from innkeeper.wire.routes import Route, Router, routes
from innkeeper.wire.scopes import require
from innkeeper.wire.unknown import check_names


class Api(RequestShell[ShellRequest, Route]):
    """The ASGI application of the API."""

    def __init__(
        self, settings: Settings, database: Database, keyring: Keyring, large: LargeRequests | None
    ) -> None:
        super().__init__(settings, database, keyring, large)
        self._throttle = Throttle(settings.rate_limit)
        self._router = Router(routes(DIALECTS))
        # Requests with one idempotency key wait here, before they take a connection.
        self._key_locks = KeyedLocks()

    def open_request(self, scope: Scope, headers: Mapping[bytes, bytes]) -> ShellRequest:
        return ShellRequest(scope, headers, canonical_path(scope))

    def find_routes(self, path: str) -> tuple[Mapping[str, Route], Mapping[str, str]]:
        return self._router.find(path)

    async def identify(self, request: ShellRequest) -> None:
        request.caller = await self.keyring.identify(request.headers.get(b"authorization"))
        self._throttle.admit(request.caller.client_key)

    def authorize(self, request: ShellRequest, route: Route) -> None:
        if request.caller.bearer != (isinstance(route, Endpoint) and route.bearer):
            # Neither kind of credentials replaces the other (AU-6, AU-7).
            raise Unauthorized
        require(route, request.caller.scopes)

    async def perform(self, request: ShellRequest, route: Route) -> ApiResponse:
        """Parse an authorized request and run its operation."""
        headers, caller = request.headers, request.caller
        key = idempotency_key(headers) if route.takes_key else ""
        content_type = headers.get(b"content-type")
        endpoint_request = EndpointRequest(
            request.parameters,
            parse_query(request.scope["query_string"]),
            json_object(request.body, content_type) if route.takes_body else None,
            base_url(request.scope, headers, self.settings.public_url),
            caller.compatibility,
            caller.scopes,
            expected_in(headers.get(b"if-match")),
        )
        request.ignored = check_names(route, endpoint_request)
        if isinstance(route, Endpoint) and route.before is not None:
            await route.before(endpoint_request)
        operation = prepare(route, endpoint_request)
        return await self._run(request, operation, key)

    async def _run(self, request: ShellRequest, operation: Operation, key: str) -> ApiResponse:
        """Run an operation in one unit of work, again after a conflict between transactions."""
        is_limited = self.large is not None and request.method in ("GET", "HEAD")

        async def run_once() -> ApiResponse:
            caller = request.caller
            work = self.database.work_on_demand(caller.workspace, caller.actor)
            if is_limited:
                work.json_bytes_max = LARGE_RESULT_BYTES
            try:
                if not key:
                    response = await operation(work)
                    if response.open_stream is not None:
                        opening = response.open_stream()
                        response.stream = await while_connected(request.receive, opening)
                    return response
                return await self._run_idempotent(work, request, operation, key)
            finally:
                await work.end()

        if not key:
            return await retrying(run_once)
        async with self._key_locks.hold((request.caller.client_key, request.path, key)):
            return await retrying(run_once)

    async def _run_idempotent(
        self, work: Work, request: ShellRequest, operation: Operation, key: str
    ) -> ApiResponse:
        """Run an operation once for an idempotency key; a repetition gets the first response."""
        scope = idempotency.scope_id(request.caller.client_key, request.path, key)
        query = request.scope["query_string"].decode("latin-1")
        request_hash = digest("request", query, request.body.decode("latin-1"))
        responses: list[ApiResponse] = []

        async def respond(work: Work) -> FirstResponse:
            response = await operation(work)
            responses[:] = [response]
            location = dict(response.headers).get(b"location", b"").decode() or None
            return FirstResponse(response.status, location, response.body)

        keyed = KeyedRequest(scope, request_hash, request.caller.actor, respond)
        first = await idempotency.respond_once(work, keyed, self.settings.idempotency_hours)
        if not first.is_replayed:
            return responses[0]
        REPLAYED.inc()
        return replayed_response(first)

    def error_response(self, request: ShellRequest, error: ApiError) -> ApiResponse:
        extra, client_key = dialect_at(request.path).extra_error_members, request.caller.client_key
        body = error_body(error, self.settings.more_info_url, client_key, extra)
        return error_as_json(body, error)


def canonical_path(scope: Scope) -> str:
    """Return the path, still percent-encoded; `/2.1/…` and `/2/…`, which one client sends, become
    `/v2.1/…` and `/v2/…`."""
    path = raw_path(scope)
    return "/v" + path[1:] if path.startswith(("/2.1/", "/2/")) else path


def idempotency_key(headers: Mapping[bytes, bytes]) -> str:
    """Return the idempotency key of a request, empty without one.

    Raises `BadRequest` for a key that is not 1 to 255 printable ASCII characters.
    """
    header = headers.get(b"idempotency-key")
    if header is None:
        return ""
    key = header.decode("latin-1")
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise BadRequest("Idempotency-Key must be 1 to 255 printable ASCII characters.")
    return key


def replayed_response(stored: FirstResponse) -> ApiResponse:
    """Build the response of a repeated request from the first."""
    headers = [(b"idempotent-replayed", b"true")]
    if stored.location:
        headers.append((b"location", stored.location.encode()))
    return ApiResponse(stored.status, stored.body, headers)
