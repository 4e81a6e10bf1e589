"""The route table of the stream endpoints, for the stream app and the API description."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from innkeeper.resources.kinds import Schema
from innkeeper.wire.schemas import FREE, REF, TEXT, WHOLE, an_object, named, one_of

TAG: Final = "Stream API"
EDGE: Final = "/v1/events"


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamRoute:
    """One operation of the stream API, on its direct or its edge path."""

    method: str
    path: str
    act: str
    """Name of the method of `web.stream.Stream` that performs it."""
    name: str
    summary: str
    edge: bool = False
    """Whether its credential is a context id, and its point of sale that of a site."""
    flow: bool = False
    """Whether errors have the form of those of callFlows."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Schema | None = None
    status: int = 200
    response_schema: Schema | None = None
    """Schema of a JSON response."""
    media: str = "application/json"
    failures: tuple[int, ...] = ()

    @property
    def takes_body(self) -> bool:
        return self.method == "POST"

    @property
    def takes_message(self) -> bool:
        """Whether the message is in the query parameter `message`."""
        return "message" in self.query

    def matches(self, path: str) -> dict[str, str] | None:
        """Return the parameters of a path that matches this route."""
        match = _pattern(self.path).fullmatch(path)
        return match.groupdict() if match else None


_patterns: dict[str, re.Pattern[str]] = {}


def _pattern(path: str) -> re.Pattern[str]:
    pattern = _patterns.get(path)
    if pattern is None:
        pieces = re.split(r"\{(\w+)\}", path)
        text = "".join(
            f"(?P<{piece}>[^/]+)" if index % 2 else re.escape(piece)
            for index, piece in enumerate(pieces)
        )
        pattern = _patterns[path] = re.compile(text + "/?", re.IGNORECASE)
    return pattern


_HEAD: Final = {"status": TEXT, "version": TEXT, "client_key": TEXT, "ref": REF}
_CREATED: Final = named(
    "StreamCreated", an_object((*_HEAD, "customer_ref"), **_HEAD, customer_ref=REF)
)
_BROWSER_SCHEMA: Final = named(
    "StreamBrowser", an_object((*_HEAD, "customer"), **_HEAD, customer=an_object(("ref",), ref=REF))
)
EVENT_ERROR: Final = an_object(
    ("status", "version", "client_key", "error_msg", "moreInfo"),
    status=one_of("ERROR", "NOT_FOUND"),
    version=TEXT,
    client_key=TEXT,
    error_code=WHOLE,
    error_msg=TEXT,
    moreInfo=TEXT,
)
FLOW_ERROR: Final = an_object(
    ("status", "code", "message", "developerMessage", "moreInfoUrl"),
    status=WHOLE,
    code=WHOLE,
    message=TEXT,
    developerMessage=TEXT,
    moreInfoUrl=TEXT,
)
EVENT: Final[Schema] = {
    "type": "object",
    "title": "StreamEvent",
    "properties": {
        "client_key": {**TEXT, "description": "The client key; empty on the edge paths."},
        "browser_id": {**REF, "description": "From browser create."},
        "type": {**TEXT, "minLength": 1, "description": "VIEW, IDENTITY … or a custom name."},
        "channel": {
            **TEXT,
            "description": "WEB, MOBILE_APP …; by default that of the browser's last event.",
        },
        "pos": {
            **TEXT,
            "description": "Point of sale; by default that of the browser's last event, else "
            "`default`.",
        },
        "currency": {**TEXT, "description": "ISO 4217."},
        "language": {**TEXT, "description": "ISO 639-1."},
        "page": {**TEXT, "description": "The page it happened on."},
        "requested_at": {
            **TEXT,
            "description": "The time of the event on the client; ignored if it differs from the "
            "server's by more than a day.",
        },
        "ext": {**FREE, "description": "At most 50 attributes."},
    },
    "required": ["client_key", "browser_id", "type"],
    # Other members are stored as the event's own data (stream-api.md 4.1).
    "additionalProperties": True,
}
_FLOW: Final[Schema] = {
    "type": "object",
    "title": "FlowRequest",
    "properties": {
        "clientKey": TEXT,
        "channel": TEXT,
        "pointOfSale": TEXT,
        "friendlyId": {**TEXT, "minLength": 1},
        "browserId": TEXT,
    },
    "required": ["clientKey", "friendlyId"],
    "additionalProperties": True,
}
_NO_DECISION: Final = named("FlowDecision", an_object())
_KEY: Final = {"client_key": "The client key."}
_CALLBACK: Final = {
    "callback": "Return a script that calls this function, with status 200 also for errors."
}
_CONTEXT: Final = {
    "sitecoreContextId": "The context id: a client key or an alias of one. You may send it in the "
    "header x-sitecore-contextid instead."
}
_SITE: Final = {"siteId": "The site: a point of sale, or an alias of one."}
_MESSAGE: Final = {"message": "The event as JSON on one line, with or without percent-encoding."}
_EVENT_FAILURES: Final = (400, 401, 403, 404, 413, 415)


def _browsers(edge: bool) -> Iterator[StreamRoute]:
    base, suffix, where = _prefix(edge)
    query = {**(_CONTEXT if edge else _KEY), **_CALLBACK}
    yield StreamRoute(
        method="GET",
        path=f"{base}/v1.2/browser/create.json",
        act="create_browser",
        name=f"createBrowser{suffix}",
        summary=f"Create a browser id and its guest{where}",
        edge=edge,
        query=query,
        status=201,
        response_schema=_CREATED,
        failures=(400, 401),
    )
    yield StreamRoute(
        method="GET",
        path=f"{base}/v1.2/browser/{{browser}}/show.json",
        act="show_browser",
        name=f"showBrowser{suffix}",
        summary=f"Fetch the guest of a browser{where}",
        edge=edge,
        query=query,
        response_schema=_BROWSER_SCHEMA,
        failures=(400, 401, 404),
    )


def _events(edge: bool) -> Iterator[StreamRoute]:
    base, suffix, where = _prefix(edge)
    credential = {**_CONTEXT, **_SITE} if edge else _KEY
    for path, name in (("event/create.json", "createEvent"), ("events", "sendEvent")):
        shared: dict[str, Any] = {
            "path": f"{base}/v1.2/{path}",
            "edge": edge,
            "status": 201,
            "response_schema": _CREATED,
        }
        yield StreamRoute(
            method="GET",
            act="get_event",
            name=f"{name}ByGet{suffix}",
            summary=f"Record an event from the query string{where}",
            query={**credential, **_MESSAGE, **_CALLBACK},
            failures=(400, 401, 403, 404),
            **shared,
        )
        yield StreamRoute(
            method="POST",
            act="post_event",
            name=f"{name}{suffix}",
            summary=f"Record an event{where}",
            query=credential if edge else {},
            body=EVENT,
            failures=_EVENT_FAILURES,
            **shared,
        )


def _prefix(edge: bool) -> tuple[str, str, str]:
    """Prefix of the direct or edge paths, and suffix of their names and summaries."""
    return (EDGE, "AtEdge", " (edge)") if edge else ("", "", "")


def _flows() -> Iterator[StreamRoute]:
    no_decision = "Request a decision; the response is always empty"
    shared: dict[str, Any] = {"flow": True, "response_schema": _NO_DECISION}
    yield StreamRoute(
        method="POST",
        path="/v2/callFlows",
        act="call_flows",
        name="callFlows",
        summary=no_decision,
        body=_FLOW,
        failures=(400, 401, 413, 415),
        **shared,
    )
    yield StreamRoute(
        method="GET",
        path="/v2/callFlows",
        act="call_flows_by_get",
        name="callFlowsByGet",
        summary=no_decision + ", in the query",
        query={**_MESSAGE, **_CALLBACK},
        failures=(400, 401),
        **shared,
    )
    yield StreamRoute(
        method="POST",
        path="/v1/personalize",
        act="call_flows",
        name="personalizeAtEdge",
        summary=no_decision + " (edge)",
        edge=True,
        query={**_CONTEXT, **_SITE},
        body=_FLOW,
        failures=(400, 401, 413, 415),
        **shared,
    )


def _scripts() -> Iterator[StreamRoute]:
    yield StreamRoute(
        method="GET",
        path="/v1/personalize/cdn-url",
        act="cdn_url",
        name="findWebFlowScript",
        summary="Fetch the URL of the script of web experiences",
        edge=True,
        flow=True,
        query=_CONTEXT,
        media="text/plain",
        failures=(400, 401),
    )
    yield StreamRoute(
        method="GET",
        path="/web-flow-libs/{client_key}/web-version.min.js",
        act="web_flow_script",
        name="fetchWebFlowScript",
        summary="Fetch the script of web experiences, which does nothing",
        flow=True,
        media="application/javascript",
        failures=(404,),
    )


STREAM_ROUTES: Final = (
    *_browsers(edge=False),
    *_events(edge=False),
    *_browsers(edge=True),
    *_events(edge=True),
    *_flows(),
    *_scripts(),
)
PREFIXES: Final = ("/v1.2/", "/v1/events/", "/v1/personalize", "/v2/callflows", "/web-flow-libs/")
"""Prefixes of the paths that the stream app handles, whether a path exists or not; in lower
case."""


def routes_at(path: str) -> tuple[dict[str, StreamRoute], dict[str, str]]:
    """Return the operations of a path by method, and the path's parameters."""
    if path in _PLAIN:
        return _PLAIN[path], {}
    routes: dict[str, StreamRoute] = {}
    parameters: dict[str, str] = {}
    for route in STREAM_ROUTES:
        matched = route.matches(path)
        if matched is not None:
            routes[route.method] = route
            parameters = matched
    return routes, parameters


_PLAIN: Final[Mapping[str, dict[str, StreamRoute]]] = {
    path: {route.method: route for route in STREAM_ROUTES if route.path == path}
    for path in {route.path for route in STREAM_ROUTES}
    if "{" not in path
}
"""Paths without parameters, in the spelling of nearly every client."""


def is_stream(path: str) -> bool:
    """Whether the stream app handles a path."""
    return path.lower().startswith(PREFIXES)


def is_event_path(path: str) -> bool:
    """Whether errors at a path have the form of those of events, whether the path exists or not."""
    return path.lower().startswith(PREFIXES[:2])
